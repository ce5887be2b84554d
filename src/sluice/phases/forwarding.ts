/** What an attempt tells its endpoint of the client: the headers that the pool lets through, and the client's address. */

import { client_address, is_address } from "../auth/address_list";
import { header, peer_address } from "../edge/request";
import { header_reader, join_beta } from "../edge/request_lines";
import { add_forwarded } from "../pool/forwarded";
import { USER_AGENT } from "../pool/headers";
import type { Pool } from "../pool/pools";
import type { RequestState } from "./state";

/** Adds where the request comes from, as far as proxies are trusted to know it. */
function add_address(lines: string[], state: RequestState): void {
  const { trusted_proxies } = state.snapshot;
  const forwarded = trusted_proxies !== undefined ? header("x_forwarded_for") : undefined;
  const address = client_address(peer_address(), forwarded, trusted_proxies);
  if (is_address(address)) {
    lines.push(`X-Real-IP: ${address}`);
    lines.push(`X-Forwarded-For: ${address}`);
  }
}

/** The value of `User-Agent` with which the other headers of an attempt are sent too; "": there are none. */
function more_headers(state: RequestState, pool: Pool): string {
  const { forward_client_ip, forward_headers, headers } = pool;
  if (state.api!.name === "messages" && state.attempts === 1) {
    join_beta();
  }
  if (forward_headers === undefined && !forward_client_ip) {
    return headers;
  }
  const lines = [headers === "" ? USER_AGENT : headers];
  if (forward_headers !== undefined) {
    add_forwarded(lines, forward_headers, header_reader());
  }
  if (forward_client_ip) {
    add_address(lines, state);
  }
  return lines.length > 1 ? lines.join("\r\n") : headers;
}

export { more_headers };
