/** @noSelfInFile */

/** @noResolution */
declare module "ngx.balancer" {
  export function set_current_peer(this: void, address: string, port: number): LuaMultiReturn<[ok: boolean | undefined, reason: string | undefined]>;
  export function set_timeouts(this: void, connect_seconds: number | undefined, send_seconds: number | undefined, read_seconds: number | undefined): LuaMultiReturn<[ok: boolean | undefined, reason: string | undefined]>;
  export function set_more_tries(this: void, count: number): LuaMultiReturn<[ok: boolean | undefined, reason: string | undefined]>;
  export function get_last_failure(this: void): LuaMultiReturn<[kind: string | undefined, status: number | undefined]>;
}

/** @noResolution */
declare module "ngx.semaphore" {
  interface Semaphore {
    post(this: Semaphore, count?: number): void;
    wait(this: Semaphore, seconds: number): LuaMultiReturn<[ok: boolean | undefined, reason: string | undefined]>;
    count(this: Semaphore): number;
  }
  function _new(this: void, count?: number): LuaMultiReturn<[semaphore: Semaphore | undefined, reason: string | undefined]>;
  export { _new as new, Semaphore };
}

/** @noResolution */
declare module "resty.core" {}

/** @noResolution */
declare module "resty.core.base" {
  /** The request at hand: a pointer. */
  export function get_request(this: void): unknown;
}

/** @noResolution */
declare module "ngx.process" {
  export function signal_graceful_exit(this: void): void;
  export function get_master_pid(this: void): number | undefined;
  export function type(this: void): string;
}

/** @noResolution */
declare module "cjson.safe" {
  export function encode(this: void, value: unknown): LuaMultiReturn<[text: string | undefined, reason: string | undefined]>;
  export function decode(this: void, text: string): LuaMultiReturn<[value: unknown, reason: string | undefined]>;
  const empty_array: unknown;
  const _null: unknown;
  export { empty_array, _null as null };
}
