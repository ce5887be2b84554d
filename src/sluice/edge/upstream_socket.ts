/**
 * The socket that nginx reads the upstream's answer from, for one purpose: to end the exchange with an upstream that has said
 * all and does not end its response.
 *
 * nginx has no call for that: its only timer for an upstream's silence is set before the request is sent, and the filters are
 * not called while nothing comes. So the socket is looked for where nginx has it: the request (ngx_http_request_t) points to
 * the upstream, and that to the connection, whose first words are the request it works for and, three further on, the socket.
 * These structures have begun so since nginx 1.0; but a build may differ, so the memory is not touched: the kernel copies it,
 * and says so where there is none (process_vm_readv(2), Linux). Nothing is done unless the request has its mark and the
 * connection names the request.
 */

import * as ffi from "ffi";
import { get_request } from "resty.core.base";

/** @noSelf */
interface SocketLibrary {
  sluice_process_vm_readv(process: number, local: unknown, local_count: number, remote: unknown, remote_count: number, flags: number): number;
  sluice_shutdown(socket: number, how: number): number;
}

ffi.cdef(`
typedef struct { uintptr_t base; size_t length; } sluice_memory_range;
ssize_t sluice_process_vm_readv(int process, const sluice_memory_range *local, unsigned long local_count,
  const sluice_memory_range *remote, unsigned long remote_count, unsigned long flags) __asm__("process_vm_readv");
int sluice_shutdown(int socket, int how) __asm__("shutdown");
`);

interface MemoryRange {
  base: number;
  length: number;
}

const library = ffi.C as SocketLibrary;
/** "HTTP" as nginx writes it at the beginning of a request (NGX_HTTP_MODULE). */
const SIGNATURE = 0x50545448;
const SHUT_READING = 0;
/**
 * Words that are read: of a request up to its upstream, of an upstream up to its connection, of a connection up to its socket.
 */
const WORDS = 10;
/** Which word of the request points to its upstream: with nginx's cache built in, and without. */
const UPSTREAM_WORDS = [9, 8];
const CONNECTION_WORD = 2;
const SOCKET_WORD = 3;

const words = ffi.new<Int32Buffer>("uintptr_t[?]", WORDS);
const local = ffi.new<MemoryRange>("sluice_memory_range");
const remote = ffi.new<MemoryRange>("sluice_memory_range");

/** The request at hand, for `stop_upstream`. */
function request_address(): number {
  return tonumber(ffi.cast("uintptr_t", get_request())) ?? 0;
}

/** Copies the words at an address. Returns false if they can't be read. */
function read_words(address: number): boolean {
  local.base = tonumber(ffi.cast("uintptr_t", words)) ?? 0;
  local.length = WORDS * 8;
  remote.base = address;
  remote.length = WORDS * 8;
  return tonumber(library.sluice_process_vm_readv(ngx.worker.pid(), local, 1, remote, 1, 0)) === WORDS * 8;
}

/** A word that was read. */
function word(index: number): number {
  return tonumber(words[index]) ?? 0;
}

/** The socket of the request's upstream, whose address is in that word of it; −1: it is not there. */
function socket_at(request: number, upstream_word: number): number {
  if (!read_words(request) || word(0) % 4294967296 !== SIGNATURE) {
    return -1;
  }
  const upstream = word(upstream_word);
  if (upstream === 0 || !read_words(upstream)) {
    return -1;
  }
  const connection = word(CONNECTION_WORD);
  return connection !== 0 && read_words(connection) && word(0) === request ? word(SOCKET_WORD) % 4294967296 : -1;
}

/**
 * Has nginx find that the upstream of a request has ended its response. `request` is from `request_address`, and not logged
 * yet. Returns whether it could be done.
 */
function stop_upstream(request: number): boolean {
  for (const upstream_word of UPSTREAM_WORDS) {
    const socket = socket_at(request, upstream_word);
    if (socket > 2) {
      return library.sluice_shutdown(socket, SHUT_READING) === 0;
    }
  }
  return false;
}

export { request_address, stop_upstream };
