/**
 * Whose certificates the gateway's own connections trust: those to key sets, health checks, metrics, webhooks and Redis.
 *
 * nginx has a directive for that, lua_ssl_trusted_certificate, but timers of init_worker see it only at http level, and there
 * ngx_lua before 0.10.26 (Debian 12 has 0.10.23) reads the file anew for each location of every server: 20 ms and 0.8 MB each. So the
 * file is read here, once, in the master: its certificates lie in an OpenSSL store that all workers share. Before a handshake the store
 * is put into the SSL settings (SSL_CTX) with which ngx_lua makes that connection, unless they hold certificates or revocation lists
 * already: what nginx.conf says with lua_ssl_trusted_certificate or lua_ssl_crl counts. The checks themselves stay ngx_lua's and OpenSSL's.
 *
 * There is no call for these settings (newer versions of ngx_lua have one for a single handshake, settrustedstore; Debian's has none), so
 * they are read where ngx_lua keeps them. A request begins with a signature and the settings of its location; those of the Lua module begin,
 * in every ngx_lua 0.10, with a pointer to nginx's ngx_ssl_t, which begins with the SSL_CTX, the log and the size of the buffer, 16384
 * unless a server says otherwise. Where one of them is not what it must be, nothing is set: no certificate is trusted then that nginx.conf
 * doesn't name, connections fail, and the operator is told what to write there.
 */

import * as ffi from "ffi";
import { get_request } from "resty.core.base";

interface TlsSettings {
  context: CData | undefined;
  buffer_bytes: number;
}

interface LuaLocation {
  tls: TlsSettings | undefined;
}

interface LocatedRequest {
  signature: number;
  locations: Record<number, LuaLocation | undefined> | undefined;
}

interface NginxModule {
  place: number;
  name: unknown;
}

/** @noSelf */
interface Library {
  sluice_lua_module: NginxModule;
  sluice_new_authorities(): CData;
  sluice_free_authorities(this: void, authorities: CData): void;
  sluice_load_authorities(authorities: CData, file: string, folder: undefined): number;
  sluice_authorities_of(context: CData): CData;
  sluice_set_authorities(context: CData, authorities: CData): void;
  sluice_set_most_intermediates(context: CData, count: number): void;
  sluice_objects_of(authorities: CData): CData;
  sluice_count(stack: CData): number;
  sluice_forget_errors(): void;
}

ffi.cdef(`
typedef struct { void *context, *log; size_t buffer_bytes; } sluice_tls_settings;
typedef struct { sluice_tls_settings *tls; } sluice_lua_location;
typedef struct { uint32_t signature; void *connection, *contexts, *main, *servers; sluice_lua_location **locations; } sluice_located_request;
typedef struct { size_t place, index; const char *name; } sluice_nginx_module;
extern sluice_nginx_module sluice_lua_module __asm__("ngx_http_lua_module");
void *sluice_new_authorities(void) __asm__("X509_STORE_new");
void sluice_free_authorities(void *authorities) __asm__("X509_STORE_free");
int sluice_load_authorities(void *authorities, const char *file, const char *folder) __asm__("X509_STORE_load_locations");
void *sluice_authorities_of(void *context) __asm__("SSL_CTX_get_cert_store");
void sluice_set_authorities(void *context, void *authorities) __asm__("SSL_CTX_set1_cert_store");
void sluice_set_most_intermediates(void *context, int count) __asm__("SSL_CTX_set_verify_depth");
void *sluice_objects_of(void *authorities) __asm__("X509_STORE_get0_objects");
int sluice_count(void *stack) __asm__("OPENSSL_sk_num");
void sluice_forget_errors(void) __asm__("ERR_clear_error");
`);

const NEEDED: (keyof Library)[] = [
  "sluice_new_authorities", "sluice_free_authorities", "sluice_load_authorities", "sluice_authorities_of", "sluice_set_authorities",
  "sluice_set_most_intermediates", "sluice_objects_of", "sluice_count", "sluice_forget_errors",
];
/** "HTTP", as nginx marks its requests. */
const SIGNATURE = 0x50545448;
/** NGX_SSL_BUFSIZE. */
const BUFFER_BYTES = 16384;
/** ngx_lua 0.10 in the way it tells its version. */
const FIRST_VERSION = 10000;
const LAST_VERSION = 10999;
/** A process has no memory below the first and from the second on; nginx marks what is not set by -1. What a pointer leads to begins at a multiple of eight. */
const LOWEST_ADDRESS = 65536;
const ADDRESSES_END = 140737488355328; // 2^47

const library = ffi.C as Library;
let authorities: CData | undefined;
let most_intermediates = 0;
let loaded_from = "";
/** The SSL_CTX that have been seen to, by their addresses. They live as long as the worker. */
const seen = new LuaTable<number, boolean>();
let has_complained = false;

/** Whether nginx, ngx_lua and OpenSSL (1.1.1 or later) have what is needed. */
function is_supported(): boolean {
  const version = ngx.config.ngx_lua_version;
  // A name that isn't there throws.
  const [found, name] = pcall(() => {
    for (const needed of NEEDED) {
      assert(library[needed]);
    }
    return ffi.string(library.sluice_lua_module.name);
  });
  return found && name === "ngx_http_lua_module" && version >= FIRST_VERSION && version <= LAST_VERSION;
}

/** Whether it can be a pointer to something. */
function leads_somewhere(pointer: unknown): boolean {
  const address = tonumber(ffi.cast("uintptr_t", pointer)) ?? 0;
  return address >= LOWEST_ADDRESS && address < ADDRESSES_END && address % 8 === 0;
}

/** The SSL_CTX in what nginx holds at an address for a request, whose modules' settings are at `place`; undefined if it is not laid out as expected. */
function context_of(address: unknown, place: number): CData | undefined {
  const { signature, locations } = ffi.cast<LocatedRequest>("sluice_located_request *", address);
  if (signature !== SIGNATURE || locations === undefined || !leads_somewhere(locations)) {
    return undefined;
  }
  const location = locations[place];
  const tls = location !== undefined && leads_somewhere(location) ? location.tls : undefined;
  if (tls === undefined || !leads_somewhere(tls) || tonumber(tls.buffer_bytes) !== BUFFER_BYTES) {
    return undefined;
  }
  return leads_somewhere(tls.context) ? tls.context : undefined;
}

/**
 * Reads the certificates of authorities, in PEM, in the master. `most`: of intermediate certificates in a chain. Returns why they can't
 * be read. What was read before no longer counts.
 */
function load_authorities(file: string, most: number): string | undefined {
  authorities = undefined;
  loaded_from = file;
  most_intermediates = most;
  if (!is_supported()) {
    return undefined;
  }
  const store = ffi.gc(library.sluice_new_authorities(), library.sluice_free_authorities);
  const read = library.sluice_load_authorities(store, file, undefined);
  library.sluice_forget_errors();
  if (read !== 1) {
    return `${file}: no certificates can be read from it`;
  }
  authorities = store;
  return undefined;
}

/** Has the next handshake of the request or timer at hand verified against the certificates that were read, if nginx.conf names no others for it. */
function trust_authorities(): void {
  if (loaded_from === "") {
    return;
  }
  const context = authorities === undefined ? undefined : context_of(get_request(), tonumber(library.sluice_lua_module.place) ?? 0);
  if (authorities === undefined || context === undefined) {
    if (!has_complained) {
      has_complained = true;
      ngx.log(ngx.WARN, "sluice: in this nginx certificates are verified with lua_ssl_trusted_certificate only: set it to ", loaded_from, " at http level");
    }
    return;
  }
  const address = tonumber(ffi.cast("uintptr_t", context)) ?? 0;
  if (seen.has(address)) {
    return;
  }
  seen.set(address, true);
  if (library.sluice_count(library.sluice_objects_of(library.sluice_authorities_of(context))) === 0) {
    library.sluice_set_authorities(context, authorities);
    library.sluice_set_most_intermediates(context, most_intermediates);
  }
}

export { context_of, load_authorities, trust_authorities };
