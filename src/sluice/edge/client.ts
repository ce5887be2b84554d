/**
 * Whether the client of the request at hand is still there.
 *
 * nginx notices a client that leaves by an event on its connection. One that left in the same moment as it sent its request has had
 * its event before anybody waited for it, and is only noticed by the next read or write. So the system is asked. The connection's
 * descriptor stands where nginx has had it for all of its versions: ngx_http_request_t begins with a signature and the connection,
 * ngx_connection_t with three pointers and the descriptor. Linux on 64-bit machines.
 *
 * A client that only says that it will send nothing more counts as one that has left, as it does for nginx.
 */

import * as ffi from "ffi";
import { get_request } from "resty.core.base";

interface NginxRequest {
  signature: number;
  connection: { descriptor: number };
}

interface PolledDescriptor {
  descriptor: number;
  events: number;
  found: number;
}

/** @noSelf */
interface PollLibrary {
  sluice_poll(descriptors: unknown, count: number, milliseconds: number): number;
}

ffi.cdef(`
typedef struct { void *data, *read, *write; int descriptor; } sluice_nginx_connection;
typedef struct { uint32_t signature; sluice_nginx_connection *connection; } sluice_nginx_request;
typedef struct { int descriptor; short events, found; } sluice_polled;
int sluice_poll(sluice_polled *descriptors, unsigned long count, int milliseconds) __asm__("poll");
`);

/** "HTTP", as nginx marks its requests. */
const SIGNATURE = 0x50545448;
/** POLLRDHUP, POLLERR and POLLHUP. */
const HUNG_UP = 0x2000 + 0x8 + 0x10;

const library = ffi.C as PollLibrary;
const polled = ffi.new<PolledDescriptor>("sluice_polled");

/** Whether the client has closed its connection. */
function has_client_left(): boolean {
  const request = ffi.cast<NginxRequest>("sluice_nginx_request *", get_request());
  if (request.signature !== SIGNATURE) {
    return false;
  }
  polled.descriptor = request.connection.descriptor;
  polled.events = HUNG_UP;
  polled.found = 0;
  return library.sluice_poll(polled, 1, 0) === 1 && polled.found !== 0;
}

/** Ends a request whose client has left, in the access phase. Does not return. */
function leave_client(): void {
  ngx.exit(499);
}

export { has_client_left, leave_client };
