/**
 * What Redis runs: one script admits a request, one settles it, one looks. A script runs alone and whole, so a request is checked
 * against all limits of its tenant and key and counted in them in one step, whichever gateway asks. The rules are those of
 * `counters.ts` and `window.ts`; a spec holds the scripts against them. What they share is in `redis_script_base.ts`.
 */

import { COMMON } from "./redis_script_base";

interface RedisScript {
  text: string;
  /** How the log calls it. */
  name: string;
}

/**
 * Admits a request, or takes nothing. Arguments: tokens; the most and the least money, in nano-dollars; seconds of a lease;
 * the tenant's specification and the key's, empty if they have no limits; what is free of the model, as `free_specification` has it;
 * which of the tenant's requests have ended, as `ended_requests` has them; what stands behind the tokens in the lease: `+0@0`
 * if they are what is usual, else nothing; the request's id.
 *
 * Returns `1` (admitted), `2` (refused by the tenant) or `3` (by the key), the time's seconds, the money reserved, what the tenant
 * has spent and reserved, how many requests the tenant and the key have under way (without those that have ended, if the limit would be
 * reached with them), what the request was given of what is free, how much of that was used before, each window's start, current and
 * previous count, and the time's microseconds; or `settled`, if the request has been settled already. A request that holds a lease is
 * admitted as it was before.
 */
const ADMIT: RedisScript = {
  name: "admit",
  text: `${COMMON}
local TOKENS, MOST, LEAST, LEASE, TENANT_SPECIFICATION, KEY_SPECIFICATION, FREE, ENDED, MORE, ID = unpack(ARGUMENTS)
TOKENS, MOST, LEAST = tonumber(TOKENS), tonumber(MOST), tonumber(LEAST)

if call("SISMEMBER", SETTLED, ID) == 1 then
  return "settled"
end
local tenant = read_scope(TENANT, TENANT_SPECIFICATION)
local key = read_scope(KEY, KEY_SPECIFICATION)
end_expired(tenant)

-- How many of the requests that have ended are still among those under way. None, if the user may not look: then each has its place
-- until it is settled.
local function ended_of(under_way)
  local count = 0
  for id in string.gmatch(ENDED, "%d+:(%S+)") do
    if type(redis.pcall("ZSCORE", under_way, id)) == "string" then
      count = count + 1
    end
  end
  return count
end

local running, key_running = call("ZCARD", RUNNING), 0
local places, key_places = running, 0
if tenant.concurrent > 0 and running >= tenant.concurrent then
  places = running - ended_of(RUNNING)
end
if key.concurrent > 0 then
  call("ZREMRANGEBYSCORE", KEY_RUNNING, "-inf", time[1])
  key_running = call("ZCARD", KEY_RUNNING)
  key_places = key_running
  if key_running >= key.concurrent then
    key_places = key_running - ended_of(KEY_RUNNING)
  end
end
local spent, reserved, left = 0, tenant.reserved, math.huge
if tenant.budget >= 0 then
  spent = tonumber(call("HGET", BUDGET, "spent") or 0)
  left = tenant.budget - spent - reserved
end

local lease, _, lease_money, lease_free = read_lease(ID)
local field, start, allowance, most_free, prompt, most_output, unit, input_price, output_price =
  string.match(FREE, "^(%S+) (%d+) (%d+) (%d+) (%d+) (%d+) (%l) (%S+) (%S+)$")
local free, free_used = 0, 0
if field then
  local _, used, reserved_free = read_free(field, tonumber(start))
  free_used = used
  free = lease and lease_free or math.max(0, math.min(tonumber(most_free), tonumber(allowance) - used - reserved_free))
  if free > 0 and tenant.budget >= 0 then
    local free_tokens = unit == "r" and math.huge or free
    local input = math.max(0, prompt - free_tokens) * tonumber(input_price)
    local output = math.max(0, most_output - math.max(0, free_tokens - prompt)) * tonumber(output_price)
    LEAST, MOST = math.floor(input + 0.5), math.floor(input + output + 0.5)
  end
end

-- Whether the request may begin as far as a scope goes.
local function may_begin(scope, taken)
  for _, window in ipairs(scope) do
    local share = math.min(1, math.max(0, 1 - (now - window.start) / window.length))
    local amount = window.requests and 1 or TOKENS
    if amount > 0 and window.current + window.previous * share + amount > window.limit + TOLERANCE then
      return false
    end
  end
  return scope.concurrent == 0 or taken < scope.concurrent
end

local verdict, grant = 1, MOST
if lease then
  grant = lease_money
elseif (MOST > 0 and (left <= 0 or left < LEAST)) or not may_begin(tenant, places) then
  verdict = 2
elseif not may_begin(key, key_places) then
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
  local taken = string.format("%s.%06d %.0f%s %s", time[1], tonumber(time[2]), TOKENS, MORE, money)
  if free > 0 then
    taken = taken .. " " .. whole(free) .. " " .. field
    change_free(field, tonumber(start), 0, free)
  end
  call("HSET", LEASES, ID, taken)
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

local parts = { verdict, time[1], whole(grant), whole(spent), whole(reserved), whole(places), whole(key_places), whole(free), whole(free_used) }
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
 * never began; when it was admitted, in seconds; the tokens reserved; tokens used; nano-dollars that it cost; how much it used of what is
 * free; the tenant's specification and the key's; the shares of the budget at which somebody is told, with their nano-dollars; which allowance it used, as
 * `free_place` has it; its id.
 *
 * A request that Redis never admitted is counted and charged whole. Returns a bit for each alert that this request gives, what has
 * been spent in the period in which it arrived, and what is reserved. One that has been settled before changes nothing and is
 * answered the same again: the first answer may have been lost.
 *
 * A script that fails halfway is not undone. So the money comes first, and only when it has been added the rest.
 */
const SETTLE: RedisScript = {
  name: "settle",
  text: `${COMMON}
local KNOWN, AT, RESERVED, USED, MONEY, FREE_USED, TENANT_SPECIFICATION, KEY_SPECIFICATION, MARKS, FREE, ID = unpack(ARGUMENTS)

local tenant = read_scope(TENANT, TENANT_SPECIFICATION)
local key = read_scope(KEY, KEY_SPECIFICATION)

if call("SADD", SETTLED, ID) == 0 then
  local due, bit_of_mark = 0, 1
  for share in string.gmatch(MARKS, "(%S+)=%S+") do
    if call("HGET", BUDGET, "told:" .. share) == ID then
      due = due + bit_of_mark
    end
    bit_of_mark = bit_of_mark * 2
  end
  return whole(due) .. " " .. (call("HGET", BUDGET, "spent") or "0") .. " " .. whole(tenant.reserved)
end
local spent = 0
if tenant.budget >= 0 and KNOWN ~= "cancelled" then
  spent = redis.pcall("HINCRBY", BUDGET, "spent", MONEY)
  if type(spent) == "table" then
    call("SREM", SETTLED, ID)
    return spent
  end
  if spent == tonumber(MONEY) then
    call("EXPIRE", BUDGET, PERIOD_KEPT)
  end
end
if call("SCARD", SETTLED) == 1 then
  call("EXPIRE", SETTLED, SETTLED_KEPT)
end
local admitted, reserved, money, more, more_at = end_lease(ID)
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
local field, start = string.match(FREE, "^(%S+) (%d+)$")
if field and FREE_USED ~= "0" and KNOWN ~= "cancelled" then
  change_free(field, tonumber(start), tonumber(FREE_USED), 0)
end

local function correct(at, requests, tokens)
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
end
-- Where what is usual was reserved, the rest was taken when it came: what is missing of that comes now, and what was too much was it last.
if more then
  tokens = tokens - more
  if tokens > 0 then
    at = now
  elseif more > 0 then
    local back = math.max(tokens, -more)
    correct(more_at, 0, back)
    tokens = tokens - back
  end
end
correct(at, requests, tokens)
if more or requests ~= 0 or tokens ~= 0 or (money or 0) ~= 0 then
  write_scope(tenant)
  if #key > 0 then
    write_scope(key)
  end
end

local due, bit_of_mark = 0, 1
if MARKS ~= "" and KNOWN ~= "cancelled" then
  local told = tonumber(call("HGET", BUDGET, "told") or 0)
  local most
  for share, mark in string.gmatch(MARKS, "(%S+)=(%S+)") do
    if tonumber(share) > told and spent >= tonumber(mark) then
      due = due + bit_of_mark
      call("HSET", BUDGET, "told:" .. share, ID)
      if not most or tonumber(share) > tonumber(most) then
        most = share
      end
    end
    bit_of_mark = bit_of_mark * 2
  end
  if most then
    call("HSET", BUDGET, "told", most)
  end
end
return whole(due) .. " " .. whole(spent) .. " " .. whole(tenant.reserved)
`,
};

/**
 * Takes more tokens of the windows for a request that is under way, whatever is left of them. Arguments: how many it has taken
 * in all since it was admitted with what is usual; the tenant's specification and the key's; its id. Changes nothing if they
 * are counted already, or the request is not under way. Returns how many were added.
 */
const TAKE: RedisScript = {
  name: "take",
  text: `${COMMON}
local SUM, TENANT_SPECIFICATION, KEY_SPECIFICATION, ID = unpack(ARGUMENTS)
local _, _, _, _, _, more = read_lease(ID)
local added = more and tonumber(SUM) - more or 0
if added <= 0 then
  return "0"
end
local head, tokens, tail = string.match(call("HGET", LEASES, ID), "^(%S+) (%d+)%+%S+(.*)$")
call("HSET", LEASES, ID, string.format("%s %s+%s@%s.%06d%s", head, tokens, SUM, time[1], tonumber(time[2]), tail))
for _, scope in ipairs({ read_scope(TENANT, TENANT_SPECIFICATION), read_scope(KEY, KEY_SPECIFICATION) }) do
  for _, window in ipairs(scope) do
    if not window.requests then
      window.current = window.current + added
    end
  end
  if #scope > 0 then
    write_scope(scope)
  end
end
return whole(added)
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

export { ADMIT, LOOK, SETTLE, TAKE };
export type { RedisScript };
