/** What the server says when it does not do something: what happened, what was not touched, what to do next. */

export interface Place {
  field: string;
  message: string;
  hint: string;
  code: string;
  file: string;
  line: number;
  column: number;
}

export class ApiProblem extends Error {
  readonly status: number;
  readonly code: string;
  readonly hint: string;
  readonly places: Place[];
  readonly requestId: string;

  constructor(problem: {
    status: number;
    code?: string;
    title?: string;
    hint?: string;
    errors?: Place[];
    request_id?: string;
  }) {
    super(problem.title || "The server answered something that could not be read.");
    this.name = "ApiProblem";
    this.status = problem.status;
    this.code = problem.code ?? "unknown";
    this.hint = problem.hint ?? "";
    this.places = problem.errors ?? [];
    this.requestId = problem.request_id ?? "";
  }

  /** Worth another try by itself: the server or what it needs is away for a while. */
  get passing(): boolean {
    return this.status === 0 || this.status === 429 || this.status >= 502;
  }

  static async of(response: Response): Promise<ApiProblem> {
    const requestId = response.headers.get("x-request-id") ?? "";
    try {
      const body = await response.clone().json();
      return new ApiProblem({ request_id: requestId, ...body, status: response.status });
    } catch {
      const title = `The server answered ${response.status} ${response.statusText}`.trim();
      return new ApiProblem({ status: response.status, title: `${title}.`, request_id: requestId });
    }
  }

  /** A 200 that is no JSON: something in between answers in the server's place, or it was cut. */
  static unreadable(response: Response): ApiProblem {
    return new ApiProblem({
      status: -1,
      code: "unreadable",
      title: "The server answered something that could not be read.",
      hint: "Something between this page and the server may have answered in its place.",
      request_id: response.headers.get("x-request-id") ?? "",
    });
  }

  /** `limit`: milliseconds that were waited for. */
  static slow(limit: number): ApiProblem {
    return new ApiProblem({
      status: 408,
      code: "slow",
      title: `The server has not answered for ${limit / 1000} seconds.`,
      hint: "It may be busy, or a storage that it needs hangs. Your projects run on without this page.",
    });
  }

  /** No answer at all. */
  static away(): ApiProblem {
    return new ApiProblem({
      status: 0,
      code: "unreachable",
      title: "The server cannot be reached. Your projects run on without this page.",
      hint: "It is tried again by itself.",
    });
  }
}

// as Chromium, Firefox and Safari say it
const PART = /dynamically imported module|importing a module script failed|unable to preload/i;

export function asProblem(error: unknown): ApiProblem {
  if (error instanceof ApiProblem) return error;
  const title = error instanceof Error ? error.message : String(error);
  if (PART.test(title))
    return new ApiProblem({
      status: -1,
      code: "page.part",
      title: "A part of this page could not be fetched.",
      hint: "Winslow may have been updated since the page was opened, or its server is away. Load the page anew.",
    });
  return new ApiProblem({ status: -1, code: "page", title: `This page failed: ${title}` });
}
