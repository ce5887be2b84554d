/**
 * Upstream slots: which of nginx.conf's upstream blocks an endpoint's connections live in.
 *
 * nginx keeps idle connections per upstream block and tells them apart by address alone. For plain HTTP that is
 * right, and one block serves all. A TLS connection also belongs to the name it was verified for, so each name
 * has a block of its own from a fixed row. A block whose name has gone is not given away before its
 * connections have: they idle at most `keepalive_timeout`, and a stream may hold one longer, so the wait is generous.
 */

const PLAIN_SLOT = "sluice_http";
const TLS_SLOTS = 16;
/** Seconds: above http.conf's `keepalive_timeout` and any sensible stream. */
const REST = 3600;

interface Slots {
  /** By block, counting from 0: the TLS name it belongs to, if any. */
  names: LuaTable<number, string>;
  /** By block: when its name was last in use, in seconds. */
  used: LuaTable<number, number>;
}

function new_slots(): Slots {
  return { names: new LuaTable(), used: new LuaTable() };
}

/**
 * The upstream block for endpoints of that scheme and host; `undefined` if there is none left. `now` in seconds, on
 * a clock that only goes forward.
 */
function assign_slot(slots: Slots, scheme: string, host: string, now: number): string | undefined {
  if (scheme === "http") {
    return PLAIN_SLOT;
  }
  let free: number | undefined;
  for (const block of $range(0, TLS_SLOTS - 1)) {
    const name = slots.names.get(block);
    if (name === host) {
      slots.used.set(block, now);
      return `sluice_tls_${block}`;
    }
    if (free === undefined && (name === undefined || now - (slots.used.get(block) ?? 0) > REST)) {
      free = block;
    }
  }
  if (free === undefined) {
    return undefined;
  }
  slots.names.set(free, host);
  slots.used.set(free, now);
  return `sluice_tls_${free}`;
}

/** A copy, to go back to. */
function copy_slots(slots: Slots): Slots {
  const copy = new_slots();
  for (const block of $range(0, TLS_SLOTS - 1)) {
    copy.names.set(block, slots.names.get(block));
    copy.used.set(block, slots.used.get(block));
  }
  return copy;
}

export { TLS_SLOTS, assign_slot, copy_slots, new_slots };
export type { Slots };
