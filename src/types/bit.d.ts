/** @noSelfInFile */

/**
 * LuaJIT's bit operations, on signed 32-bit integers. (The global of the same name can't be used: the
 * compiler renames it.) Write `import * as bits from "bit"; const band = bits.band;`.
 *
 * @noResolution
 */
declare module "bit" {
  export function tobit(this: void, value: number): number;
  export function tohex(this: void, value: number, digits?: number): string;
  export function bnot(this: void, value: number): number;
  export function band(this: void, first: number, ...rest: number[]): number;
  export function bor(this: void, first: number, ...rest: number[]): number;
  export function bxor(this: void, first: number, ...rest: number[]): number;
  export function lshift(this: void, value: number, count: number): number;
  export function rshift(this: void, value: number, count: number): number;
  export function arshift(this: void, value: number, count: number): number;
  export function rol(this: void, value: number, count: number): number;
  export function ror(this: void, value: number, count: number): number;
  export function bswap(this: void, value: number): number;
}
