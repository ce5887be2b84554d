/** @noSelfInFile */

/** What Redis answers: text, a number, an array, or false and the text of an error; nil and the reason, if nothing whole came. */
declare type RedisReply = string | number | RedisReply[] | false | undefined;

/** A connection of lua-resty-redis: https://github.com/openresty/lua-resty-redis#methods */
declare interface RedisConnection {
  _sock: TcpSocket;
  set_timeout(this: RedisConnection, milliseconds: number): void;
  connect(this: RedisConnection, host: string, port: number, options: { pool: string }): LuaMultiReturn<[ok: unknown, reason: string | undefined]>;
  set_keepalive(this: RedisConnection, idle_ms: number, size: number): LuaMultiReturn<[ok: unknown, reason: string | undefined]>;
  get_reused_times(this: RedisConnection): LuaMultiReturn<[count: number | undefined, reason: string | undefined]>;
  close(this: RedisConnection): LuaMultiReturn<[ok: unknown, reason: string | undefined]>;
  auth(this: RedisConnection, ...credentials: string[]): LuaMultiReturn<[reply: RedisReply, reason: string | undefined]>;
  select(this: RedisConnection, database: number): LuaMultiReturn<[reply: RedisReply, reason: string | undefined]>;
  role(this: RedisConnection): LuaMultiReturn<[reply: RedisReply, reason: string | undefined]>;
  sentinel(this: RedisConnection, command: string, master: string): LuaMultiReturn<[reply: RedisReply, reason: string | undefined]>;
  set(this: RedisConnection, key: string, value: string, ...options: string[]): LuaMultiReturn<[reply: RedisReply, reason: string | undefined]>;
  script(this: RedisConnection, command: string, text: string): LuaMultiReturn<[reply: RedisReply, reason: string | undefined]>;
}

declare interface RedisLibrary {
  new: (this: RedisLibrary) => LuaMultiReturn<[connection: RedisConnection | undefined, reason: string | undefined]>;
}
