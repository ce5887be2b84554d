/**
 * The requests of one worker that wait for an endpoint of a pool: who is next.
 *
 * Each tenant has a line of its own, first come first served; the lines take turns, a request each. So a tenant that has a hundred
 * requests waiting delays another's by one request, not by a hundred.
 */

/** A request that waits. Lines and waiters hang together in rings and lists, so that whoever gives up leaves at once. */
interface Waiter<Value> {
  /** What the request is known by, or woken with: whatever it was given when it joined. */
  value: Value;
  line: Line<Value>;
  before: Waiter<Value> | undefined;
  behind: Waiter<Value> | undefined;
}

interface Line<Value> {
  tenant: string;
  first: Waiter<Value> | undefined;
  last: Waiter<Value> | undefined;
  /** The lines around it in the ring of those in which somebody waits. */
  previous: Line<Value> | undefined;
  next: Line<Value> | undefined;
}

interface Queue<Value> {
  lines: LuaTable<string, Line<Value>>;
  /** The line whose turn it is; undefined: nobody waits. */
  turn: Line<Value> | undefined;
  size: number;
}

function new_queue<Value>(): Queue<Value> {
  return { lines: new LuaTable(), turn: undefined, size: 0 };
}

/** The tenant's line, which is put at the end of the round if nobody waits in it. */
function line_of<Value>(queue: Queue<Value>, tenant: string): Line<Value> {
  const known = queue.lines.get(tenant) as Line<Value> | undefined;
  if (known !== undefined) {
    return known;
  }
  const line: Line<Value> = { tenant, first: undefined, last: undefined, previous: undefined, next: undefined };
  queue.lines.set(tenant, line);
  const { turn } = queue;
  if (turn === undefined) {
    line.previous = line;
    line.next = line;
    queue.turn = line;
  } else {
    line.previous = turn.previous;
    line.next = turn;
    turn.previous!.next = line;
    turn.previous = line;
  }
  return line;
}

/** Takes an empty line out of the ring. */
function remove_line<Value>(queue: Queue<Value>, line: Line<Value>): void {
  queue.lines.delete(line.tenant);
  if (line.next === line) {
    queue.turn = undefined;
    return;
  }
  line.previous!.next = line.next;
  line.next!.previous = line.previous;
  if (queue.turn === line) {
    queue.turn = line.next;
  }
}

/** A request begins to wait. Whatever becomes of it, it has to leave with `leave_queue`. */
function join_queue<Value>(queue: Queue<Value>, tenant: string, value: Value): Waiter<Value> {
  const line = line_of(queue, tenant);
  const waiter: Waiter<Value> = { value, line, before: line.last, behind: undefined };
  if (line.last !== undefined) {
    line.last.behind = waiter;
  } else {
    line.first = waiter;
  }
  line.last = waiter;
  queue.size += 1;
  return waiter;
}

/** A request no longer waits. `served`: it has got what it waited for, so that it is another tenant's turn; else it gave up. */
function leave_queue<Value>(queue: Queue<Value>, waiter: Waiter<Value>, served: boolean): void {
  const { before, behind, line } = waiter;
  if (before !== undefined) {
    before.behind = behind;
  } else {
    line.first = behind;
  }
  if (behind !== undefined) {
    behind.before = before;
  } else {
    line.last = before;
  }
  queue.size -= 1;
  if (served && queue.turn === line) {
    queue.turn = line.next;
  }
  if (line.first === undefined) {
    remove_line(queue, line);
  }
}

/** The request whose turn it is; undefined: nobody waits. */
function next_in_queue<Value>(queue: Queue<Value>): Waiter<Value> | undefined {
  return queue.turn !== undefined ? queue.turn.first : undefined;
}

export { join_queue, leave_queue, new_queue, next_in_queue };
export type { Queue, Waiter };
