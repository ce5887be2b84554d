/** TLS on a connection that the gateway itself has opened. */

import { trust_authorities } from "./authorities";

/**
 * Begins TLS, within the time limits that the socket has. With `verify` the certificate must be an authority's that is trusted, and bear
 * `server_name`; else the connection is closed, and nothing has been sent over it. Returns why it failed, or undefined.
 */
function begin_tls(socket: TcpSocket, server_name: string | undefined, verify: boolean): string | undefined {
  if (verify) {
    trust_authorities();
  }
  // No session is asked for: with one, resty.core 0.1.25 throws where the certificate is found wrong without a wait. Without one, resty.core
  // reports success there; that ngx_lua has closed the connection is told by its missing count of uses.
  const [session, reason] = socket.sslhandshake(false, server_name, verify);
  if (session === undefined || session === false) {
    return reason ?? "no TLS session";
  }
  const [uses] = socket.getreusedtimes();
  return uses === undefined ? "the certificate is not trusted, or another name's" : undefined;
}

export { begin_tls };
