"""Wrong pipeline files, each with everything that is said about it. One line is one problem: line, column,
what is wrong; what would be right."""

WRONG: dict[str, tuple[str, tuple[str, ...]]] = {
    "gpus": (
        "winslow: 1\nname: t\nstages:\n  - id: detect\n    command: [detect]\n    resources: {gpus: {count: 1}}\n",
        ("6:17: gpus is not a key here; did you mean gpu?",),
    ),
    "gpu at stage": (
        "winslow: 1\nname: t\nstages:\n  - id: detect\n    command: [detect]\n    gpu: {count: 1}\n",
        ("6:5: gpu is not a key here; it belongs into resources",),
    ),
    "env": (
        "winslow: 1\nname: t\nstages:\n  - id: detect\n    command: [detect]\n    env: {A: b}\n",
        ("6:5: env is not a key here; did you mean environment?",),
    ),
    "top image": (
        "winslow: 1\nname: t\nimage: x\nstages:\n  - id: detect\n    command: [detect]\n",
        ("3:1: image is not a key here; it belongs into a stage, or into defaults",),
    ),
    "needs in defaults": (
        "winslow: 1\nname: t\ndefaults: {needs: [a]}\nstages:\n  - id: detect\n    command: [detect]\n",
        ("3:12: needs is not a key here; it belongs into each stage",),
    ),
    "missing all": (
        "title: x\n",
        (
            "1:1: name is missing in the file; write name: traffic",
            "1:1: stages is missing in the file; write stages: [{id: detect, ...}]",
            "1:1: winslow is missing in the file; write winslow: 1",
        ),
    ),
    "empty": (
        "",
        ("1:1: the file is empty; begin with winslow: 1",),
    ),
    "only comment": (
        "# hi\n",
        ("1:1: the file is empty; begin with winslow: 1",),
    ),
    "list": (
        "- a\n",
        ("1:1: a pipeline file is a mapping; begin with winslow: 1",),
    ),
    "scalar": (
        "abc\n",
        ("1:1: a pipeline file is a mapping; begin with winslow: 1",),
    ),
    "newer": (
        "winslow: 2\nnme: x\n",
        (
            "1:10: this file is written for a newer Winslow: its language is version 2; this one reads version 1;"
            " upgrade Winslow",
        ),
    ),
    "version text": (
        "winslow: one\nname: x\nstages:\n  - id: detect\n    command: [detect]\n",
        ("1:10: 'one' is not a whole number; write winslow: 1",),
    ),
    "dup": (
        "winslow: 1\nname: t\nname: again\nstages:\n  - id: detect\n    command: [detect]\n",
        ("3:1: name is here twice; the first is in line 2; remove one",),
    ),
    "anchor": (
        "winslow: 1\nname: t\nenvironment: &e {A: b}\nstages:\n  - {id: a, command: [x], environment: *e}\n",
        (
            "3:14: &e is an anchor; remove it",
            "5:40: *e is an alias; write the value out; what stages share goes into defaults:",
        ),
    ),
    "merge": (
        "winslow: 1\nname: t\nstages:\n  - {id: a, command: [x], <<: {b: c}}\n",
        ("4:27: << merges are not part of a pipeline file; what stages share goes into defaults:",),
    ),
    "tag": (
        "winslow: 1\nname: t\nstages: !!python/object:os.system [x]\n",
        ("3:9: tag:yaml.org,2002:python/object:os.system is a tag; remove it; every value is a text",),
    ),
    "tab": (
        "winslow: 1\nname: t\nstages:\n\t- id: a\n",
        ("4:1: a tab is used where only spaces may stand; indent with spaces",),
    ),
    "nul esc": (
        'winslow: 1\nname: t\ntitle: "a\\0b"\nstages:\n  - id: detect\n    command: [detect]\n',
        ("3:8: the text holds a character that no text may hold (NUL, or half of one); remove it",),
    ),
    "quote": (
        "winslow: 1\nname: t\ntitle: 'abc\n",
        ("3:8: a quote is not closed; close it",),
    ),
    "colon": (
        "winslow: 1\nname: t\ntitle: a: b\n",
        ("3:9: a colon is not expected here; put texts with a colon into quotes, or check the indentation",),
    ),
    "flow": (
        "winslow: 1\nname: t\nstages: [a, b\n",
        (
            "3:9: the list in [ ] is not closed, or a comma is missing; separate by commas, close with ], put tex"
            "ts with [ ] { } , into quotes",
        ),
    ),
    "flowmap": (
        "winslow: 1\nname: t\nstages: {a: b\n",
        (
            "3:9: the mapping in { } is not closed, or a comma is missing; separate by commas, close with }, put "
            "texts with [ ] { } , into quotes",
        ),
    ),
    "at": (
        "winslow: 1\nname: t\ntitle: @x\n",
        ("3:8: a text cannot begin with @; put it into quotes",),
    ),
    "indent": (
        "winslow: 1\nname: t\nstages:\n  - id: a\n   command: [x]\n",
        ("5:4: the line does not fit what is above; check the indentation, and that every entry has its key or its -",),
    ),
    "nokey": (
        "winslow: 1\nname: t\nstages\n",
        ("4:1: a key without a colon; write key: value",),
    ),
    "two docs": (
        "winslow: 1\nname: t\nstages:\n  - id: detect\n    command: [detect]\n---\na: b\n",
        ("6:1: a second document begins here; a file holds one pipeline; remove the ---",),
    ),
    "directive": (
        "%YAML 1.1\n---\nwinslow: 1\nname: t\nstages:\n  - id: detect\n    command: [detect]\n",
        ("1:1: % directives are not part of a pipeline file; remove the line",),
    ),
    "complex key": (
        "winslow: 1\nname: t\n? [a, b]\n: c\nstages:\n  - id: detect\n    command: [detect]\n",
        ("3:3: a key is a single word here; put texts with { or [ into quotes",),
    ),
    "command text": (
        "winslow: 1\nname: t\nstages:\n  - id: detect\n    command: python detect.py --fast\n",
        ("5:14: command is a text, not a list; write command: [python, detect.py, --fast]",),
    ),
    "needs text": (
        "winslow: 1\n"
        "name: t\n"
        "stages:\n"
        "  - id: detect\n"
        "    command: [detect]\n"
        "  - id: b\n"
        "    command: [x]\n"
        "    needs: detect\n",
        ("8:12: needs is a text, not a list; write needs: [detect]",),
    ),
    "needs one": (
        "winslow: 1\n"
        "name: t\n"
        "stages:\n"
        "  - id: detect\n"
        "    command: [detect]\n"
        "  - id: b\n"
        "    command: [x]\n"
        "  - id: c\n"
        "    command: [x]\n"
        "    needs: [detect]\n",
        (
            "6:5: b has no needs, and other stages have; write needs: [detect] to run after the stage above, or n"
            "eeds: [] to run at once",
        ),
    ),
    "needs unknown": (
        "winslow: 1\n"
        "name: t\n"
        "stages:\n"
        "  - id: detect\n"
        "    command: [detect]\n"
        "  - id: b\n"
        "    command: [x]\n"
        "    needs: [detct]\n",
        ("8:13: there is no stage detct; did you mean detect?",),
    ),
    "needs self": (
        "winslow: 1\n"
        "name: t\n"
        "stages:\n"
        "  - id: detect\n"
        "    command: [detect]\n"
        "  - id: b\n"
        "    command: [x]\n"
        "    needs: [b]\n",
        ("8:13: b needs itself; remove it",),
    ),
    "cycle": (
        "winslow: 1\n"
        "name: t\n"
        "stages:\n"
        "  - {id: a, command: [x], needs: [c]}\n"
        "  - {id: b, command: [x], needs: [a]}\n"
        "  - {id: c, command: [x], needs: [b]}\n",
        ("5:35: stages need one another in a circle: a -> c -> b -> a; remove a from the needs of b",),
    ),
    "dup id": (
        "winslow: 1\nname: t\nstages:\n  - id: detect\n    command: [detect]\n  - id: detect\n    command: [x]\n",
        ("6:9: a stage detect is here twice; the first is in line 4; give this one another id",),
    ),
    "dup id with another between": (
        "winslow: 1\nname: t\nstages:\n"
        "  - {id: a, command: [x]}\n  - {id: b, command: [x]}\n  - {id: a, command: [x]}\n",
        ("6:10: a stage a is here twice; the first is in line 4; give this one another id",),
    ),
    "bad id": (
        "winslow: 1\nname: t\nstages:\n  - id: Detect-1\n    command: [x]\n",
        (
            "4:9: 'Detect-1' cannot be used for id; small letters from a to z, digits and _, a letter first,"
            " such as detect",
        ),
    ),
    "word id": (
        "winslow: 1\nname: t\nstages:\n  - id: values\n    command: [x]\n",
        ("4:9: no stage can be called values; the word has a meaning of its own; take another",),
    ),
    "no id": (
        "winslow: 1\nname: t\nstages:\n  - command: [x]\n",
        ("4:5: id is missing in an entry of stages; write id: detect",),
    ),
    "no command": (
        "winslow: 1\nname: t\nstages:\n  - id: a\n",
        ('4:5: a has neither a command nor an image; write command: [python, "${WINSLOW_PIPELINE}/<file>.py"]',),
    ),
    "nobody to tell the command": (
        "winslow: 1\nname: t\nstages:\n  - id: a\n    image: tool:1\n",
        (
            "5:12: a gives no command, and the image tool:1 names no registry that could tell one; write command: "
            "[...], or the registry: registry.example.org/team/tool:1.2, docker.io/library/busybox:1",
        ),
    ),
    "stage text": (
        "winslow: 1\nname: t\nstages: [detect]\n",
        (
            '3:10: an entry of stages is a text, not a mapping; write {id: detect, command: [python, "${WINSLOW_P'
            'IPELINE}/detect.py"]}',
        ),
    ),
    "stages map": (
        "winslow: 1\nname: t\nstages: {detect: {command: [x]}}\n",
        ("3:9: stages is a mapping, not a list; write stages: [{id: detect, ...}]",),
    ),
    "no stages": (
        "winslow: 1\nname: t\nstages: []\n",
        ("3:9: stages is empty; write stages: [{id: detect, ...}]",),
    ),
    "bool": (
        "winslow: 1\nname: t\nstages:\n  - id: detect\n    command: [detect]\n    pause_after: yes\n",
        ("6:18: 'yes' is not true or false; write pause_after: true or pause_after: false",),
    ),
    "null": (
        "winslow: 1\nname: t\nstages:\n  - id: detect\n    command: [detect]\n    title:\n",
        ('6:11: title has no value; write title: Vehicles in a street video, or title: "" for an empty text',),
    ),
    "null env": (
        "winslow: 1\nname: t\nenvironment: {A: }\nstages:\n  - id: detect\n    command: [detect]\n",
        ('3:17: A has no value; write A: info, or A: "" for an empty text',),
    ),
    "size": (
        "winslow: 1\nname: t\nstages:\n  - id: detect\n    command: [detect]\n    resources: {memory: 4G}\n",
        ("6:25: '4G' is not a size; write 4 GiB (or 4 GB)",),
    ),
    "size2": (
        "winslow: 1\nname: t\nstages:\n  - id: detect\n    command: [detect]\n    resources: {memory: 4096}\n",
        ("6:25: '4096' is not a size; write 4096 MiB (or 4096 MB)",),
    ),
    "size3": (
        "winslow: 1\n"
        "name: t\n"
        "stages:\n"
        "  - id: detect\n"
        "    command: [detect]\n"
        "    resources: {memory: 4 KiB, cpu: 0, gpu: {count: -1}}\n",
        (
            "6:25: '4 KiB' is too little for memory; the least is 1 MiB",
            "6:37: 0 is out of range; cpu is more than 0 and at most 4096",
            "6:53: -1 is out of range; count is at least 0 and at most 64",
        ),
    ),
    "mem max": (
        "winslow: 1\n"
        "name: t\n"
        "stages:\n"
        "  - id: detect\n"
        "    command: [detect]\n"
        "    resources: {memory: 4 GiB, memory_max: 2 GiB}\n",
        ("6:44: memory_max is less than memory; give at least as much, or leave it out",),
    ),
    "dur": (
        "winslow: 1\nname: t\nstages:\n  - id: detect\n    command: [detect]\n    timeout: 90\n",
        ("6:14: '90' is not a duration; write 90s for seconds, or 90m for minutes",),
    ),
    "dur2": (
        "winslow: 1\n"
        "name: t\n"
        "stages:\n"
        "  - id: detect\n"
        "    command: [detect]\n"
        "    timeout: 1:30\n"
        "    stop_grace: soon\n"
        "    patience: 0s\n",
        (
            "6:14: '1:30' is not a duration; write 1h30m",
            "7:17: 'soon' is not a duration; write 90s, 2m, 6h, 1d or 1h30m",
            "8:15: '0s' is too little for patience; the least is 1s",
        ),
    ),
    "choice": (
        "winslow: 1\nname: t\nstages:\n  - id: detect\n    command: [detect]\n    run_as: root\n    join: al\n",
        (
            "6:13: 'root' is not possible for run_as; write one of winslow, image",
            "7:11: 'al' is not possible for join; did you mean all?",
        ),
    ),
    "kind": (
        "winslow: 1\nname: t\nparameters: {A: {type: int}}\nstages:\n  - id: detect\n    command: [detect]\n",
        ("3:24: 'int' is not possible for type; did you mean integer?",),
    ),
    "param text": (
        "winslow: 1\nname: t\nparameters: {A: integer}\nstages:\n  - id: detect\n    command: [detect]\n",
        ("3:17: A is a text, not a mapping; write A: {type: integer, default: 300}",),
    ),
    "param default": (
        "winslow: 1\n"
        "name: t\n"
        "parameters: {A: {type: integer, default: abc}}\n"
        "stages:\n"
        "  - id: detect\n"
        "    command: [detect]\n",
        ("3:42: default: 'abc' is not an integer; write digits, such as 300",),
    ),
    "param range": (
        "winslow: 1\n"
        "name: t\n"
        "parameters: {A: {type: integer, default: 3, min: 10, max: 5}}\n"
        "stages:\n"
        "  - id: detect\n"
        "    command: [detect]\n",
        ("3:59: max 5 is less than min 10; exchange them",),
    ),
    "param below": (
        "winslow: 1\n"
        "name: t\n"
        "parameters: {A: {type: integer, default: 3, min: 10}}\n"
        "stages:\n"
        "  - id: detect\n"
        "    command: [detect]\n",
        ("3:42: default: 3 is less than 10; allowed is 10 and more",),
    ),
    "param min": (
        "winslow: 1\n"
        "name: t\n"
        "parameters: {A: {type: string, min: 3, options: [a], accept: [.x]}}\n"
        "stages:\n"
        "  - id: detect\n"
        "    command: [detect]\n",
        (
            "3:37: min has no meaning for type string; it belongs to an integer or a number; remove it",
            "3:49: options has no meaning for type string; it belongs to a choice; remove it",
            "3:62: accept has no meaning for type string; it belongs to a file or files; remove it",
        ),
    ),
    "choice none": (
        "winslow: 1\nname: t\nparameters: {A: {type: choice}}\nstages:\n  - id: detect\n    command: [detect]\n",
        ("3:17: A is a choice without options; write options: [fast, exact]",),
    ),
    "choice default": (
        "winslow: 1\n"
        "name: t\n"
        "parameters: {A: {type: choice, options: [fast, exact], default: fats}}\n"
        "stages:\n"
        "  - id: detect\n"
        "    command: [detect]\n",
        ("3:65: default: 'fats' is not one of the options; did you mean fast?",),
    ),
    "accept": (
        "winslow: 1\n"
        "name: t\n"
        "parameters: {A: {type: file, accept: [mp4]}}\n"
        "stages:\n"
        "  - id: detect\n"
        "    command: [detect]\n",
        ("3:39: 'mp4' cannot be used for an entry of accept; endings begin with a dot, such as .mp4",),
    ),
    "file default": (
        "winslow: 1\n"
        "name: t\n"
        "parameters: {A: {type: file, default: ../x}}\n"
        "stages:\n"
        "  - id: detect\n"
        "    command: [detect]\n",
        ("3:39: default: '../x' leads out of the input pool; name a file of the input pool, such as street.mp4",),
    ),
    "reserved": (
        "winslow: 1\n"
        "name: t\n"
        "parameters: {WINSLOW_X: {type: string}}\n"
        "environment: {WINSLOW_Y: a}\n"
        "secrets: {WINSLOW_Z: {}}\n"
        "stages:\n"
        "  - id: detect\n"
        "    command: [detect]\n"
        "    environment: {WINSLOW_A: b}\n"
        "    required: [WINSLOW_B]\n",
        (
            "3:14: WINSLOW_X cannot be set: names with WINSLOW_ belong to Winslow; take another name",
            "4:15: WINSLOW_Y cannot be set: names with WINSLOW_ belong to Winslow; take another name",
            "5:11: WINSLOW_Z cannot be set: names with WINSLOW_ belong to Winslow; take another name",
            "9:19: WINSLOW_A cannot be set: names with WINSLOW_ belong to Winslow; take another name",
            "10:16: WINSLOW_B is always set; remove it",
        ),
    ),
    "var name": (
        "winslow: 1\nname: t\nparameters: {MIN-AREA: {type: string}}\nstages:\n  - id: detect\n    command: [detect]\n",
        (
            "3:14: 'MIN-AREA' cannot be a name in parameters; names of variables are letters, digits and _, no di"
            "git first",
        ),
    ),
    "both": (
        "winslow: 1\n"
        "name: t\n"
        "parameters: {A: {type: string}}\n"
        "secrets: {A: {}}\n"
        "stages:\n"
        "  - id: detect\n"
        "    command: [detect]\n",
        ("3:14: A is a secret as well; give one of them another name",),
    ),
    "secret unk": (
        "winslow: 1\n"
        "name: t\n"
        "secrets: {LICENCE: {}}\n"
        "stages:\n"
        "  - id: detect\n"
        "    command: [detect]\n"
        "    secrets: [LICENSE, OTHER]\n",
        (
            "7:15: there is no secret LICENSE; did you mean LICENCE?",
            "7:24: there is no secret OTHER; add it at the top: secrets: {OTHER: {}}",
        ),
    ),
    "secret cmd": (
        "winslow: 1\n"
        "name: t\n"
        "secrets: {KEY: {}}\n"
        "stages:\n"
        "  - id: a\n"
        "    command: ['${KEY}', '${URL}']\n"
        "    image: x${KEY}\n"
        "    secrets: [KEY]\n"
        "    environment: {URL: 'http://${KEY}'}\n",
        (
            "6:15: ${KEY} holds a secret, and secrets reach a stage only through its environment; let the program"
            " read the variable KEY",
            "6:25: ${URL} holds a secret, and secrets reach a stage only through its environment; let the program"
            " read the variable URL",
            "7:12: ${KEY} holds a secret, and secrets reach a stage only through its environment; let the program"
            " read the variable KEY",
        ),
    ),
    "secret unlisted": (
        "winslow: 1\n"
        "name: t\n"
        "secrets: {KEY: {}}\n"
        "environment: {U: '${KEY}'}\n"
        "stages:\n"
        "  - id: a\n"
        "    command: ['${KEY}']\n",
        (
            "4:18: ${KEY} is a secret that does not reach this place; list it in the stage (secrets: [KEY]) and u"
            "se it in the stage's environment",
            "7:15: ${KEY} is a secret that does not reach this place; list it in the stage (secrets: [KEY]) and u"
            "se it in the stage's environment",
        ),
    ),
    "secret null": (
        "winslow: 1\nname: t\nsecrets:\n  KEY:\nstages:\n  - id: detect\n    command: [detect]\n",
        ("4:7: KEY has no value; write KEY: {}",),
    ),
    "undef": (
        "winslow: 1\n"
        "name: t\n"
        "parameters: {MIN_AREA: {type: integer}}\n"
        "stages:\n"
        "  - id: a\n"
        "    command: ['${MIN_AERA}', '${FOO}', '${WINSLOW_OUT}', '${', '$${OK}', '$1']\n",
        (
            "6:15: ${MIN_AERA} is not defined; did you mean MIN_AREA?",
            "6:30: ${FOO} is not defined; declare it under parameters or environment; $${ stands for the characters ${",
            "6:40: ${WINSLOW_OUT} is not defined; did you mean WINSLOW_OUTPUT?",
            "6:58: '${' is not a reference; write ${NAME}, or $${ for the characters themselves",
        ),
    ),
    "undef2": (
        "winslow: 1\n"
        "name: t\n"
        "environment: {A: '${B}'}\n"
        "stages:\n"
        "  - id: a\n"
        "    command: [x]\n"
        "    environment: {B: 'x'}\n",
        ("3:18: ${B} is not defined; declare it under parameters or environment; $${ stands for the characters ${",),
    ),
    "undef3": (
        "winslow: 1\n"
        "name: t\n"
        "environment: {A: 'x'}\n"
        "stages:\n"
        "  - id: a\n"
        "    command: [x]\n"
        "    environment: {B: '${C}'}\n",
        ("7:22: ${C} is not defined; declare it under parameters or environment; $${ stands for the characters ${",),
    ),
    "workspace": (
        "winslow: 1\n"
        "name: t\n"
        "stages:\n"
        "  - id: detect\n"
        "    command: [detect]\n"
        "  - id: b\n"
        "    command: [x]\n"
        "    workspace: c\n"
        "  - id: c\n"
        "    command: [x]\n"
        "    workspace: c\n",
        (
            "8:16: c does not run before b; add c to its needs, or name another stage",
            "11:16: workspace names the stage itself; name a stage before it",
        ),
    ),
    "workspace2": (
        "winslow: 1\n"
        "name: t\n"
        "stages:\n"
        "  - id: detect\n"
        "    command: [detect]\n"
        "  - id: b\n"
        "    command: [x]\n"
        "    workspace: previus\n",
        ("8:16: there is no stage previus; did you mean previous?",),
    ),
    "show": (
        "winslow: 1\n"
        "name: t\n"
        "stages:\n"
        "  - id: detect\n"
        "    command: [detect]\n"
        "    confirm: {ask: always, show: [detect/x.jpg, preview.jpg, track/../../x]}\n",
        (
            "6:49: 'preview.jpg' cannot be used for an entry of show; a stage and a path in its output, such as d"
            "etect/preview.jpg",
            "6:62: 'track/../../x' cannot be used for an entry of show; a stage and a path in its output, such as"
            " detect/preview.jpg",
        ),
    ),
    "confirm": (
        "winslow: 1\nname: t\nstages:\n  - id: detect\n    command: [detect]\n    confirm: always\n",
        ("6:14: confirm is a text, not a mapping; write confirm: {ask: always}",),
    ),
    "when": (
        "winslow: 1\n"
        "name: t\n"
        "stages:\n"
        "  - id: detect\n"
        "    command: [detect]\n"
        "    results: {vehicles: integer}\n"
        "  - id: b\n"
        "    command: [x]\n"
        "    when: detect.results.vehicle > 3\n",
        ("9:11: when: stage detect does not declare the result vehicle; did you mean vehicles?",),
    ),
    "when2": (
        "winslow: 1\n"
        "name: t\n"
        "stages:\n"
        "  - id: detect\n"
        "    command: [detect]\n"
        "  - id: b\n"
        "    command: [x]\n"
        "    when: c.results.x > 3\n"
        "  - id: c\n"
        "    command: [x]\n"
        "    when: detct.results.x = 3\n",
        (
            "8:11: c does not run before b; add c to its needs, or name another stage",
            "11:11: when: to compare, write == and not =",
        ),
    ),
    "when3": (
        "winslow: 1\n"
        "name: t\n"
        "parameters: {N: {type: integer}}\n"
        "stages:\n"
        "  - id: detect\n"
        "    command: [detect]\n"
        "  - id: b\n"
        "    command: [x]\n"
        "    when: values.N > 3\n",
        ("9:11: when: values.N > 3 compares a text with a number; write number(values.N)",),
    ),
    "results": (
        "winslow: 1\nname: t\nstages:\n  - id: detect\n    command: [detect]\n    results: {a b: integer, c: int}\n",
        (
            "6:15: 'a b' cannot be a name in results; names of variables are letters, digits and _, no digit first",
            "6:32: 'int' is not possible for c; did you mean integer?",
        ),
    ),
    "charts": (
        "winslow: 1\n"
        "name: t\n"
        "stages:\n"
        "  - id: detect\n"
        "    command: [detect]\n"
        "    charts: [{file: /etc/passwd, y: []}]\n",
        (
            "6:14: x is missing in an entry of charts; write x: second",
            "6:21: '/etc/passwd' cannot be used for file; a path in the output, without .., such as counts.csv",
            "6:37: y is empty; write y: [vehicles]",
        ),
    ),
    "log parsers": (
        "winslow: 1\n"
        "name: t\n"
        "environment: {MODEL: fast}\n"
        "stages:\n"
        "  - id: detect\n"
        "    command: [detect]\n"
        "    log_parsers:\n"
        "      - {file: ../a.csv, pattern: '(?P<n>1)'}\n"
        "      - {file: a.csv, pattern: '(?=a)'}\n"
        "      - {file: a.csv, pattern: 'a'}\n"
        "      - {file: '${k}.csv', pattern: '(?P<kind>a)', columns: {m: '${MODEL}', l: '${LINE}', n: '${nmber}'}}\n"
        "      - {file: a.csv, pattern: '(?P<number>a)', columns: {n: '${nmber}', 'a,b': x}}\n",
        (
            "8:16: '../a.csv' cannot be used for file; a path, without .., such as counts.csv",
            "9:32: This cannot be searched for: invalid perl operator: (?=; "
            "the language is that of RE2: no look-around, no back-references",
            "10:32: this pattern has no named groups, and no columns say what is to be kept; "
            r"name what is to be kept: (?P<vehicles>\d+)",
            "11:16: ${k} is not defined; did you mean kind?",
            "11:94: ${nmber} is not defined; declare it under parameters or environment; "
            "$${ stands for the characters ${",
            "12:62: ${nmber} is not defined; did you mean number?",
            "12:74: 'a,b' cannot be a name in columns; headings have no commas, quotes and $",
        ),
    ),
    "retry": (
        "winslow: 1\n"
        "name: t\n"
        "stages:\n"
        "  - id: detect\n"
        "    command: [detect]\n"
        "    retry: {failed: many, workspace: old, node_lost: 1000}\n",
        (
            "6:21: 'many' is not a whole number; write failed: 1",
            "6:38: 'old' is not possible for workspace; write one of fresh, continue",
            "6:54: 1000 is out of range; node_lost is at least 0 and at most 100",
        ),
    ),
    "dups in list": (
        "winslow: 1\nname: t\nstages:\n  - id: detect\n    command: [detect]\n    required: [A, A]\n",
        ("6:19: 'A' is in required twice; remove one",),
    ),
    "pool": (
        "winslow: 1\n"
        "name: t\n"
        "stages:\n"
        "  - id: detect\n"
        "    command: [detect]\n"
        "    placement: {pool: 'a b', prefer: last}\n",
        (
            "6:23: 'a b' cannot be used for pool; letters, digits, . _ -, such as fast-disk",
            "6:38: 'last' is not possible for prefer; write one of previous_node",
        ),
    ),
    "defaults twice": (
        "winslow: 1\n"
        "name: t\n"
        "defaults: {timeout: soon, imag: x}\n"
        "stages:\n"
        "  - id: detect\n"
        "    command: [detect]\n"
        "  - id: b\n"
        "    command: [x]\n",
        (
            "3:21: 'soon' is not a duration; write 90s, 2m, 6h, 1d or 1h30m",
            "3:27: imag is not a key here; did you mean image?",
        ),
    ),
    "name": (
        "winslow: 1\nname: a/b\nstages:\n  - id: detect\n    command: [detect]\n",
        ("2:7: 'a/b' cannot be used for name; letters from a to z, digits, space . _ -, such as traffic",),
    ),
    "circle of variables": (
        "winslow: 1\nname: t\nstages:\n  - id: a\n    command: [x]\n    environment: {A: '${B}', B: '<${A}>'}\n",
        ("6:22: Variables refer to one another in a circle: A -> B -> A; write one of them out",),
    ),
    "a variable of itself": (
        "winslow: 1\nname: t\nenvironment: {PATHS: '${PATHS}:/more'}\nstages:\n  - id: detect\n    command: [detect]\n",
        ("3:22: Variables refer to one another in a circle: PATHS -> PATHS; write one of them out",),
    ),
    "required secret": (
        "winslow: 1\n"
        "name: t\n"
        "secrets: {KEY: {}}\n"
        "stages:\n"
        "  - id: detect\n"
        "    command: [detect]\n"
        "    required: [KEY]\n",
        ("7:16: KEY is a secret; list it under secrets",),
    ),
    "param required": (
        "winslow: 1\n"
        "name: t\n"
        "parameters: {A: {type: file, required: true}}\n"
        "stages:\n"
        "  - id: detect\n"
        "    command: [detect]\n",
        ("3:30: required is not a key here; leave it out: a parameter without a default is required",),
    ),
    "show not before": (
        "winslow: 1\n"
        "name: t\n"
        "stages:\n"
        "  - id: detect\n"
        "    command: [detect]\n"
        "    confirm: {ask: once, show: [track/a.jpg]}\n"
        "  - id: track\n"
        "    command: [x]\n",
        ("6:33: track does not run before detect; add track to its needs, or name another stage",),
    ),
    "octal and sexagesimal": (
        "winslow: 1\n"
        "name: t\n"
        "stages:\n"
        "  - id: detect\n"
        "    command: [detect]\n"
        "    resources: {cpu: 1:30, gpu: {count: 0x10}}\n",
        (
            "6:22: '1:30' is not a number; write cpu: 2",
            "6:41: '0x10' is not a whole number; write count: 1",
        ),
    ),
    "secret in a value of the whole pipeline": (
        "winslow: 1\n"
        "name: t\n"
        "secrets: {KEY: {}}\n"
        "environment: {U: '${KEY}'}\n"
        "stages:\n"
        "  - {id: a, command: [x], secrets: [KEY]}\n",
        (
            "4:18: ${KEY} is a secret that does not reach this place; list it in the stage (secrets: [KEY]) and u"
            "se it in the stage's environment",
        ),
    ),
    "escape": (
        'winslow: 1\nname: t\ntitle: "a\\qb"\n',
        ("3:11: there is no such sequence with \\ in double quotes; write \\\\ for a backslash, or use single quotes",),
    ),
    "two circles": (
        "winslow: 1\n"
        "name: t\n"
        "stages:\n"
        "  - {id: a, command: [x], needs: [b]}\n"
        "  - {id: b, command: [x], needs: [a]}\n"
        "  - {id: c, command: [x], needs: [d]}\n"
        "  - {id: d, command: [x], needs: [c]}\n"
        "  - {id: e, command: [x], needs: [a]}\n",
        (
            "5:35: stages need one another in a circle: a -> b -> a; remove a from the needs of b",
            "7:35: stages need one another in a circle: c -> d -> c; remove c from the needs of d",
        ),
    ),
    "several mistakes": (
        "winslow: 1\n"
        "name: t\n"
        "parameters: {A: {type: int}}\n"
        "stages:\n"
        "  - id: a\n"
        "    comand: [x]\n"
        "    timeout: 5\n"
        "  - id: b\n"
        "    needs: [c]\n"
        "    command: ['${B}']\n",
        (
            "3:24: 'int' is not possible for type; did you mean integer?",
            "6:5: comand is not a key here; did you mean command?",
            "7:14: '5' is not a duration; write 5s for seconds, or 5m for minutes",
            "9:13: there is no stage c; there is only a",
            "10:15: ${B} is not defined; declare it under parameters or environment; $${ stands for the characters ${",
        ),
    ),
}
