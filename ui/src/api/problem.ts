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

export function asProblem(error: unknown): ApiProblem {
  if (error instanceof ApiProblem) return error;
  const title = error instanceof Error ? error.message : String(error);
  return new ApiProblem({ status: -1, code: "page", title: `This page failed: ${title}` });
}
