/** @noSelfInFile */

/** @noResolution */
declare module "jit.opt" {
  /** Sets parameters of the compiler, such as `maxrecord=16000` (luajit.org, "Running LuaJIT"). */
  export function start(this: void, ...options: string[]): void;
}
