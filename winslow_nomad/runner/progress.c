/* How far the stage is: a number in the file `progress`, or the last `NN%` of the log. */
#define _GNU_SOURCE
#include "runner.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* Reads the number that ends at `end`; < 0 when there is none from 0 to 100. */
static double number_before(const char *data, size_t end) {
    size_t start = end;
    unsigned dots = 0;
    while (start > 0 && end - start < 16 && (isdigit((unsigned char)data[start - 1]) || data[start - 1] == '.')) {
        start--;
        dots += data[start] == '.';
    }
    if (start == end || dots > 1 || !isdigit((unsigned char)data[start]) || !isdigit((unsigned char)data[end - 1]))
        return -1;
    if (start > 0 && (isalnum((unsigned char)data[start - 1]) || strchr("-_%+,.", data[start - 1])))
        return -1;
    char number[20] = {0};
    memcpy(number, data + start, end - start);
    double value = strtod(number, NULL);
    return value <= 100 ? value : -1;
}

double progress_in_log(const char *data, size_t len) {
    while (len > 0) {
        const char *sign = memrchr(data, '%', len);
        if (!sign)
            return -1;
        double value = number_before(data, (size_t)(sign - data));
        if (value >= 0)
            return value;
        len = (size_t)(sign - data);
    }
    return -1;
}

double progress_in_file(int dir) {
    struct bytes content = {0};
    double value = -1;
    if (read_file(dir, "progress", 4096, &content) == 0 && content.len > 0) {
        char *end;
        value = strtod(content.data, &end);
        while (end != content.data && (*end == '%' || isspace((unsigned char)*end)))
            end++;
        if (end != content.data + content.len || !(value >= 0 && value <= 100))
            value = -1;
    }
    bytes_free(&content);
    return value;
}
