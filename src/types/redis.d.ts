/** @noSelfInFile */

/** What Redis answers: text, a number, an array, or false and the text of an error; nil and the reason, if nothing whole came. */
declare type RedisReply = string | number | RedisReply[] | false | undefined;

declare type RedisCommand = (this: RedisConnection, ...parts: string[]) => LuaMultiReturn<[reply: RedisReply, reason: string | undefined]>;

/** A connection of lua-resty-redis: https://github.com/openresty/lua-resty-redis#methods */
declare interface RedisConnection {
  _sock: TcpSocket;
  connect(this: RedisConnection, host: string, port: number, options: { pool: string }): LuaMultiReturn<[ok: unknown, reason: string | undefined]>;
  set_keepalive(this: RedisConnection, idle_ms: number, size: number): LuaMultiReturn<[ok: unknown, reason: string | undefined]>;
  get_reused_times(this: RedisConnection): LuaMultiReturn<[count: number | undefined, reason: string | undefined]>;
  close(this: RedisConnection): LuaMultiReturn<[ok: unknown, reason: string | undefined]>;
  auth: RedisCommand;
  role: RedisCommand;
  script: RedisCommand;
  select: RedisCommand;
  sentinel: RedisCommand;
  set: RedisCommand;
}

declare interface RedisLibrary {
  new: (this: RedisLibrary) => LuaMultiReturn<[connection: RedisConnection | undefined, reason: string | undefined]>;
}
