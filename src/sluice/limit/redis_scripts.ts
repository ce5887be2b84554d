/**
 * What Redis runs: one script admits a request, one settles it, one looks. A script runs alone and whole, so a request is checked
 * against all limits of its tenant and key and counted in them in one step, whichever gateway asks. The rules are those of
 * `counters.ts` and `window.ts`; a spec holds the scripts against them.
 *
 * All keys of a tenant bear its name as their hash tag, and are always given in this order:
 *
 *     settled       set: ids of settled requests that arrived in that minute
 *     running       sorted set: ids of requests under way, by the second in which their lease ends
 *     leases        hash: what each of them was admitted with: time, tokens, money
 *     tenant        hash: the tenant's windows, such as t60: "start current previous"; `reserved`, money in nano-dollars; `kept`, the
 *                   hour in which the keys were last given a life; `swept`, the second in which leases were last looked through
 *     budget        hash of one period: `spent`, in nano-dollars, and `alerted`, a bit for each alert that was given
 *     key           hash: the API key's windows, and `kept`
 *     key_running   sorted set like `running`, of the key's requests, if it limits how many there are at a time
 *
 * All arguments come as one text, with | between them. What differs between two of them stands at the end, and so it does in the
 * answers: LuaJIT tells long texts apart by a few of their bytes, the last among them.
 *
 * The time is that of Redis: the clocks of several gateways differ. Only a budget's period comes from the gateway, since Redis knows
 * no calendar. Amounts of money are whole numbers, exact up to 2^53 nano-dollars, which is nine million dollars.
 *
 * Every call costs Redis a microsecond, and every change is written to its disk and its replicas: so there are few.
 *
 * Needs Redis 5 or later: the effects of a script are replicated, not the script.
 */

interface RedisScript {
  text: string;
  /** How the log calls it. */
  name: string;
}

/** What all scripts begin with. */
const COMMON = `
local SETTLED, RUNNING, LEASES, TENANT, BUDGET, KEY, KEY_RUNNING = unpack(KEYS)
-- Nothing stays for ever: two days and more, which is twice the longest window; more than a day; more than the longest period.
local KEPT, SETTLED_KEPT, BUDGET_KEPT = 180000, 90000, 3024000
local TOLERANCE = 0.000001
local call = redis.call
local ARGUMENTS = {}
for argument in string.gmatch(ARGV[1] .. "|", "([^|]*)|") do
  ARGUMENTS[#ARGUMENTS + 1] = argument
end
local time = call("TIME")
local seconds = tonumber(time[1])
local now = seconds + tonumber(time[2]) / 1000000

local function whole(number)
  return string.format("%.0f", number)
end

-- Ends a request's lease. Returns when it was admitted, with how many tokens and how much money; nothing, if there is no lease.
local function end_lease(id)
  local lease = call("HGET", LEASES, id)
  if not lease then
    return nil
  end
  call("HDEL", LEASES, id)
  call("ZREM", RUNNING, id)
  local admitted, tokens, money = string.match(lease, "^(%S+) (%S+) (%S+)$")
  return tonumber(admitted), tonumber(tokens), tonumber(money)
end

-- Ends leases whose time is over: their gateway has been killed, or they take longer than a lease lasts. Once a second.
local function end_expired(tenant)
  if tenant.swept == time[1] then
    return
  end
  tenant.swept = time[1]
  for _, id in ipairs(call("ZRANGEBYSCORE", RUNNING, "-inf", time[1], "LIMIT", "0", "1000")) do
    local _, _, money = end_lease(id)
    call("ZREM", RUNNING, id)
    tenant.reserved = math.max(0, tenant.reserved - (money or 0))
    tenant.changed = true
  end
end

-- Brings a window to the time.
local function roll(window)
  local begins = math.floor(now / window.length) * window.length
  if begins == window.start then
    return
  end
  if begins == window.start + window.length then
    window.previous, window.current = window.current, 0
  elseif begins > window.start then
    window.previous, window.current = 0, 0
  end
  window.start = begins
end

-- Reads a scope: what it may use, from "requests at a time, nano-dollars (-1: any)" and windows such as "t60=2000"; and what
-- its windows hold.
local function read_scope(state, specification)
  local concurrent, budget = string.match(specification, "^(%d+) (%-?%d+)")
  local scope = { state = state, exists = concurrent ~= nil, concurrent = tonumber(concurrent or 0), budget = tonumber(budget or -1) }
  local fields = { "reserved", "kept", "swept" }
  for field, measure, length, limit in string.gmatch(specification, "((%l)(%d+))=(%d+)") do
    fields[#fields + 1] = field
    scope[#scope + 1] = { field = field, requests = measure == "r", length = tonumber(length), limit = tonumber(limit) }
  end
  if not scope.exists and state == KEY then
    return scope
  end
  local texts = call("HMGET", state, unpack(fields))
  scope.reserved, scope.kept, scope.swept = tonumber(texts[1] or 0), texts[2], texts[3]
  for index, window in ipairs(scope) do
    local start, current, previous = string.match(texts[index + 3] or "0 0 0", "^(%d+) (%d+) (%d+)$")
    window.start, window.current, window.previous = tonumber(start), tonumber(current), tonumber(previous)
    roll(window)
  end
  return scope
end

-- Writes a scope, and gives what belongs to it a life, if that has not been done in this hour.
local function write_scope(scope)
  local hour = whole(math.floor(seconds / 3600))
  local arguments = {}
  for _, window in ipairs(scope) do
    arguments[#arguments + 1] = window.field
    arguments[#arguments + 1] = whole(window.start) .. " " .. whole(window.current) .. " " .. whole(window.previous)
  end
  if scope.state == TENANT then
    arguments[#arguments + 1] = "reserved"
    arguments[#arguments + 1] = whole(scope.reserved)
    arguments[#arguments + 1] = "swept"
    arguments[#arguments + 1] = scope.swept or "0"
  end
  arguments[#arguments + 1] = "kept"
  arguments[#arguments + 1] = hour
  call("HSET", scope.state, unpack(arguments))
  if scope.kept ~= hour then
    call("EXPIRE", scope.state, KEPT)
    if scope.state == TENANT then
      call("EXPIRE", RUNNING, KEPT)
      call("EXPIRE", LEASES, KEPT)
    else
      call("EXPIRE", KEY_RUNNING, KEPT)
    end
  end
end
`;

/**
 * Admits a request, or takes nothing. Arguments: tokens; the most and the least money, in nano-dollars; seconds of a lease;
 * the tenant's specification and the key's, empty if they have no limits; the request's id.
 *
 * Returns `1` (admitted), `2` (refused by the tenant) or `3` (by the key), the time's seconds, the money reserved, what the tenant
 * has spent and reserved, how many requests the tenant and the key have under way, each window's start, current and previous
 * count, and the time's microseconds; or `settled`, if the request has been settled already. A request that holds a lease is admitted as it was before.
 */
const ADMIT: RedisScript = {
  name: "admit",
  text: `${COMMON}
local TOKENS, MOST, LEAST, LEASE, TENANT_SPECIFICATION, KEY_SPECIFICATION, ID = unpack(ARGUMENTS)
TOKENS, MOST, LEAST = tonumber(TOKENS), tonumber(MOST), tonumber(LEAST)

if call("SISMEMBER", SETTLED, ID) == 1 then
  return "settled"
end
local tenant = read_scope(TENANT, TENANT_SPECIFICATION)
local key = read_scope(KEY, KEY_SPECIFICATION)
end_expired(tenant)
local running, key_running = call("ZCARD", RUNNING), 0
if key.concurrent > 0 then
  call("ZREMRANGEBYSCORE", KEY_RUNNING, "-inf", time[1])
  key_running = call("ZCARD", KEY_RUNNING)
end
local spent, reserved, left = 0, tenant.reserved, math.huge
if tenant.budget >= 0 then
  spent = tonumber(call("HGET", BUDGET, "spent") or 0)
  left = tenant.budget - spent - reserved
end

-- Whether the request may begin as far as a scope goes.
local function may_begin(scope, under_way)
  for _, window in ipairs(scope) do
    local share = math.min(1, math.max(0, 1 - (now - window.start) / window.length))
    local amount = window.requests and 1 or TOKENS
    if window.current + window.previous * share + amount > window.limit + TOLERANCE then
      return false
    end
  end
  return scope.concurrent == 0 or under_way < scope.concurrent
end

local verdict, grant = 1, MOST
local lease = call("HGET", LEASES, ID)
if lease then
  grant = tonumber(string.match(lease, "(%d+)$"))
elseif (MOST > 0 and (left <= 0 or left < LEAST)) or not may_begin(tenant, running) then
  verdict = 2
elseif not may_begin(key, key_running) then
  verdict = 3
else
  grant = math.max(0, math.min(MOST, left))
  local money = tenant.budget >= 0 and whole(grant) or "0"
  local ends = whole(seconds + tonumber(LEASE))
  for _, scope in ipairs({ tenant, key }) do
    for _, window in ipairs(scope) do
      window.current = window.current + (window.requests and 1 or TOKENS)
    end
  end
  call("ZADD", RUNNING, ends, ID)
  call("HSET", LEASES, ID, string.format("%s.%06d %.0f %s", time[1], tonumber(time[2]), TOKENS, money))
  tenant.reserved = tenant.reserved + tonumber(money)
  tenant.changed = true
  -- A key that was empty is a new one, without a life.
  if running == 0 then
    call("EXPIRE", RUNNING, KEPT)
    call("EXPIRE", LEASES, KEPT)
  end
  if key.exists then
    if key.concurrent > 0 then
      call("ZADD", KEY_RUNNING, ends, ID)
      if key_running == 0 then
        call("EXPIRE", KEY_RUNNING, KEPT)
      end
    end
    write_scope(key)
  end
end
if tenant.changed then
  write_scope(tenant)
end

local parts = { verdict, time[1], whole(grant), whole(spent), whole(reserved), whole(running), whole(key_running) }
for _, scope in ipairs({ tenant, key }) do
  for _, window in ipairs(scope) do
    parts[#parts + 1] = whole(window.start)
    parts[#parts + 1] = whole(window.current)
    parts[#parts + 1] = whole(window.previous)
  end
end
parts[#parts + 1] = time[2]
return table.concat(parts, " ")
`,
};

/**
 * Settles a request, once. Arguments: `admitted`, if Redis is known to have admitted it, `unknown`, or `cancelled`, if it
 * never began; when it was admitted, in seconds; the tokens reserved; tokens used; nano-dollars that it cost; the tenant's
 * specification and the key's; nano-dollars at which somebody is told, in order; its id.
 *
 * A request that Redis never admitted is counted and charged whole. Returns a bit for each alert that is due, and what has been spent
 * in the period in which it arrived; `-1 0`, if it had been settled before.
 */
const SETTLE: RedisScript = {
  name: "settle",
  text: `${COMMON}
local KNOWN, AT, RESERVED, USED, MONEY, TENANT_SPECIFICATION, KEY_SPECIFICATION, MARKS, ID = unpack(ARGUMENTS)

if call("SADD", SETTLED, ID) == 0 then
  return "-1 0"
end
if call("SCARD", SETTLED) == 1 then
  call("EXPIRE", SETTLED, SETTLED_KEPT)
end
local tenant = read_scope(TENANT, TENANT_SPECIFICATION)
local key = read_scope(KEY, KEY_SPECIFICATION)
local admitted, reserved, money = end_lease(ID)
if key.concurrent > 0 then
  call("ZREM", KEY_RUNNING, ID)
end
tenant.reserved = math.max(0, tenant.reserved - (money or 0))
local at = admitted or tonumber(AT)
reserved = reserved or tonumber(RESERVED)

local requests, tokens = 0, 0
if KNOWN == "cancelled" then
  if admitted then
    requests, tokens = -1, -reserved
  end
elseif admitted or KNOWN == "admitted" then
  tokens = tonumber(USED) - reserved
else
  requests, tokens = 1, tonumber(USED)
end

for _, scope in ipairs({ tenant, key }) do
  for _, window in ipairs(scope) do
    local difference = window.requests and requests or tokens
    if at >= window.start then
      window.current = math.max(0, window.current + difference)
    elseif at >= window.start - window.length then
      window.previous = math.max(0, window.previous + difference)
    end
  end
end
if requests ~= 0 or tokens ~= 0 or (money or 0) ~= 0 then
  write_scope(tenant)
  if #key > 0 then
    write_scope(key)
  end
end

if tenant.budget < 0 or KNOWN == "cancelled" then
  return "0 0"
end
local spent = call("HINCRBY", BUDGET, "spent", MONEY)
if spent == tonumber(MONEY) then
  call("EXPIRE", BUDGET, BUDGET_KEPT)
end
local due, bit_of_mark = 0, 1
if MARKS ~= "" then
  local alerted = tonumber(call("HGET", BUDGET, "alerted") or 0)
  for mark in string.gmatch(MARKS, "%S+") do
    if spent >= tonumber(mark) and math.floor(alerted / bit_of_mark) % 2 == 0 then
      due = due + bit_of_mark
    end
    bit_of_mark = bit_of_mark * 2
  end
end
if due > 0 then
  call("HINCRBY", BUDGET, "alerted", whole(due))
end
return whole(due) .. " " .. whole(spent)
`,
};

/** Looks at a tenant. Argument: its specification. Returns how many requests it has under way, and what it has reserved and spent, in nano-dollars. */
const LOOK: RedisScript = {
  name: "look",
  text: `${COMMON}
local tenant = read_scope(TENANT, ARGUMENTS[1])
end_expired(tenant)
if tenant.changed then
  write_scope(tenant)
end
return whole(call("ZCARD", RUNNING)) .. " " .. whole(tenant.reserved) .. " " .. (call("HGET", BUDGET, "spent") or "0")
`,
};

export { ADMIT, LOOK, SETTLE };
export type { RedisScript };
