/** @noSelfInFile */
// The part of LuaDBI that Sluice uses: https://github.com/mwild1/luadbi. Many of its functions throw when a connection is lost.

declare interface DbiStatement {
  execute(this: DbiStatement, ...values: (string | undefined)[]): LuaMultiReturn<[ok: boolean, reason: string | undefined]>;
  /** The next row; undefined after the last. */
  fetch(this: DbiStatement): (string | number | undefined)[] | undefined;
  affected(this: DbiStatement): number;
  close(this: DbiStatement): boolean;
}

declare interface DbiConnection {
  autocommit(this: DbiConnection, on: boolean): boolean;
  prepare(this: DbiConnection, sql: string): LuaMultiReturn<[statement: DbiStatement | undefined, reason: string | undefined]>;
  ping(this: DbiConnection): boolean;
  close(this: DbiConnection): boolean;
}

declare interface Dbi {
  Connect(this: void, driver: string, name: string): LuaMultiReturn<[connection: DbiConnection | undefined, reason: string | undefined]>;
}
