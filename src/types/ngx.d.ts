/** @noSelfInFile */
// The part of lua-nginx-module's API that Sluice uses (0.10.23 and later).

/** A shared dictionary: https://github.com/openresty/lua-nginx-module#ngxshareddict */
declare interface SharedDictionary {
  get(this: SharedDictionary, key: string): LuaMultiReturn<[value: string | number | boolean | undefined, flags: number | string | undefined]>;
  set(this: SharedDictionary, key: string, value: string | number | boolean | undefined, seconds?: number, flags?: number): LuaMultiReturn<[ok: boolean, reason: string | undefined, forcible: boolean]>;
  safe_set(this: SharedDictionary, key: string, value: string | number | boolean, seconds?: number): LuaMultiReturn<[ok: boolean | undefined, reason: string | undefined]>;
  add(this: SharedDictionary, key: string, value: string | number | boolean, seconds?: number): LuaMultiReturn<[ok: boolean, reason: string | undefined, forcible: boolean]>;
  safe_add(this: SharedDictionary, key: string, value: string | number | boolean, seconds?: number): LuaMultiReturn<[ok: boolean | undefined, reason: string | undefined]>;
  delete(this: SharedDictionary, key: string): void;
  incr(this: SharedDictionary, key: string, by: number, initial?: number, initial_seconds?: number): LuaMultiReturn<[value: number | undefined, reason: string | undefined, forcible: boolean | undefined]>;
  get_keys(this: SharedDictionary, most?: number): string[];
  rpush(this: SharedDictionary, key: string, value: string | number): LuaMultiReturn<[length: number | undefined, reason: string | undefined]>;
  lpop(this: SharedDictionary, key: string): LuaMultiReturn<[value: string | number | undefined, reason: string | undefined]>;
  llen(this: SharedDictionary, key: string): LuaMultiReturn<[length: number | undefined, reason: string | undefined]>;
  capacity(this: SharedDictionary): number;
  free_space(this: SharedDictionary): number;
}

/** A cosocket: https://github.com/openresty/lua-nginx-module#ngxsockettcp */
declare interface TcpSocket {
  connect(this: TcpSocket, host: string, port: number, options?: { pool?: string; pool_size?: number; backlog?: number }): LuaMultiReturn<[ok: 1 | undefined, reason: string | undefined]>;
  sslhandshake(this: TcpSocket, reused: boolean | undefined, server_name: string | undefined, verify: boolean): LuaMultiReturn<[session: unknown, reason: string | undefined]>;
  send(this: TcpSocket, data: string | string[]): LuaMultiReturn<[sent: number | undefined, reason: string | undefined]>;
  receive(this: TcpSocket, pattern?: string | number): LuaMultiReturn<[data: string | undefined, reason: string | undefined, partial: string | undefined]>;
  receiveany(this: TcpSocket, most: number): LuaMultiReturn<[data: string | undefined, reason: string | undefined]>;
  settimeouts(this: TcpSocket, connect_ms: number, send_ms: number, read_ms: number): void;
  setkeepalive(this: TcpSocket, idle_ms?: number, size?: number): LuaMultiReturn<[ok: 1 | undefined, reason: string | undefined]>;
  close(this: TcpSocket): LuaMultiReturn<[ok: 1 | undefined, reason: string | undefined]>;
  getreusedtimes(this: TcpSocket): LuaMultiReturn<[count: number | undefined, reason: string | undefined]>;
}

/** @noSelf */
declare interface NgxRequest {
  read_body(): void;
  get_body_data(): string | undefined;
  get_body_file(): string | undefined;
  set_body_data(data: string): void;
  init_body(buffer_bytes?: number): void;
  append_body(data: string): void;
  finish_body(): void;
  discard_body(): void;
  get_method(): string;
  get_headers(most?: number, raw?: boolean): LuaMultiReturn<[headers: LuaTable<string, string | string[]>, reason: string | undefined]>;
  set_header(name: string, value: string): void;
  clear_header(name: string): void;
  get_uri_args(most?: number): LuaTable<string, string | boolean>;
  start_time(): number;
  http_version(): number | undefined;
  is_internal(): boolean;
}

/** @noSelf */
declare interface Ngx {
  /** Per-request storage; Sluice keeps its RequestState here and nothing else. */
  ctx: unknown;
  /** nginx variables. */
  var: LuaTable<string, string | undefined>;
  /** In a body filter: the chunk and whether it is the last. Not an array: indices are Lua's own. */
  arg: { 1: string | undefined; 2: boolean };
  /** Response headers. */
  header: LuaTable<string, string | number | string[] | undefined>;
  status: number;
  headers_sent: boolean;
  is_subrequest: boolean;
  shared: LuaTable<string, SharedDictionary | undefined>;
  req: NgxRequest;
  resp: { get_headers(this: void, most?: number, raw?: boolean): LuaMultiReturn<[headers: LuaTable<string, string | string[]>, reason: string | undefined]> };
  timer: {
    at(this: void, seconds: number, callback: (this: void, premature: boolean, ...values: any[]) => void, ...values: unknown[]): LuaMultiReturn<[ok: number | undefined, reason: string | undefined]>;
    every(this: void, seconds: number, callback: (this: void, premature: boolean, ...values: any[]) => void, ...values: unknown[]): LuaMultiReturn<[ok: number | undefined, reason: string | undefined]>;
  };
  worker: { id(this: void): number; pid(this: void): number; count(this: void): number; exiting(this: void): boolean };
  config: { nginx_version: number; ngx_lua_version: number; prefix(this: void): string };
  socket: { tcp(this: void): TcpSocket; udp(this: void): unknown };
  thread: {
    spawn(this: void, action: (this: void, ...values: any[]) => unknown, ...values: unknown[]): unknown;
    wait(this: void, ...threads: unknown[]): LuaMultiReturn<[ok: boolean, ...values: any[]]>;
    kill(this: void, thread: unknown): void;
  };
  now(): number;
  time(): number;
  update_time(): void;
  sleep(seconds: number): void;
  log(level: number, ...parts: unknown[]): void;
  print(...parts: unknown[]): void;
  say(...parts: unknown[]): void;
  flush(wait?: boolean): void;
  exit(status: number): never;
  exec(location: string, arguments_?: string): never;
  eof(): void;
  on_abort(callback: () => void): LuaMultiReturn<[ok: 1 | undefined, reason: string | undefined]>;
  get_phase(): string;
  encode_base64(data: string, no_padding?: boolean): string;
  decode_base64(data: string): string | undefined;
  md5(data: string): string;
  sha1_bin(data: string): string;
  http_time(seconds: number): string;
  escape_uri(text: string): string;
  OK: 0;
  ERROR: -1;
  DECLINED: -5;
  ERR: number;
  WARN: number;
  NOTICE: number;
  INFO: number;
  DEBUG: number;
  ALERT: number;
  CRIT: number;
  HTTP_OK: 200;
}

declare const ngx: Ngx;
