/** @noSelfInFile */

/** A pointer to, or an array of, 8-bit unsigned numbers. Index from 0; no bounds are checked. */
declare interface Bytes {
  [index: number]: number;
}

/** An array of signed 32-bit integers. Loads stay integers under the JIT; unsigned ones would become doubles. */
declare interface Int32Buffer {
  [index: number]: number;
}

/** An array of double precision numbers. */
declare interface DoubleBuffer {
  [index: number]: number;
}

/** Any other C object. */
declare interface CData {
  readonly __cdata: unique symbol;
}

/** @noResolution */
declare module "ffi" {
  /** Declares C types and functions for `C`. */
  function cdef(this: void, declarations: string): void;
  /** Makes a zero-filled C object. */
  function _new<T = CData>(this: void, type: string, ...initial: unknown[]): T;
  export { _new as new };
  export function cast<T = CData>(this: void, type: string, value: unknown): T;
  export function fill(this: void, target: unknown, length: number, value?: number): void;
  export function copy(this: void, target: unknown, source: unknown, length?: number): void;
  export function string(this: void, pointer: unknown, length?: number): string;
  export function sizeof(this: void, type: unknown, count?: number): number;
  export function gc<T>(this: void, object: T, finalizer: ((this: void, object: T) => void) | undefined): T;
  export function load(this: void, name: string): unknown;
  /** The error of the last call of the C library; sets it, if a number is given. */
  export function errno(this: void, value?: number): number;
  export function typeof_(this: void, type: string): unknown;
  export function istype(this: void, type: unknown, value: unknown): boolean;
  export const C: unknown;
  export { cdef };
}
