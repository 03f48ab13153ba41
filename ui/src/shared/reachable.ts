/** Whether an address means the same machine for the browser as for the server. Pure. */
const HERE = /^(localhost|127\.\d+\.\d+\.\d+|\[?::1\]?|0\.0\.0\.0)$/;

/** `host`: under which the browser has this page. The server's own loopback is the browser's only on the same machine. */
export function reachable(address: string, host: string): boolean {
  try {
    return !HERE.test(new URL(address).hostname) || HERE.test(host);
  } catch {
    return false;
  }
}
