/**
 * What the scripts in Redis share: where everything lies there, and how it is read and written.
 *
 * All keys of a tenant bear its name as their hash tag, and are always given in this order:
 *
 *     settled       set: ids of settled requests that arrived in that minute
 *     running       sorted set: ids of requests under way, by the second in which their lease ends
 *     leases        hash: what each of them was admitted with: time, tokens, money, and what it was given of which free allowance; where
 *                   what is usual was reserved, the tokens are such as "300+512@1764590000.000001": with those taken since, and when
 *     tenant        hash: the tenant's windows, such as t60: "start current previous"; `reserved`, money in nano-dollars; `kept`, the
 *                   hour in which the keys were last given a life; `swept`, the second in which leases were last looked through; and
 *                   free:MODEL, what is used of what is free of a model: "start used reserved", where start is that of the period
 *     budget        hash of one period: `spent`, in nano-dollars; `told`, the largest share of the budget that somebody was told of, and
 *                   told:SHARE, the id of the request that gave that alert
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

/** What all scripts begin with. */
const COMMON = `
local SETTLED, RUNNING, LEASES, TENANT, BUDGET, KEY, KEY_RUNNING = unpack(KEYS)
-- Nothing stays for ever: two days and more, which is twice the longest window; more than a day; more than the longest period.
local KEPT, SETTLED_KEPT, PERIOD_KEPT = 180000, 90000, 3024000
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

-- What a request was admitted with: when, with how many tokens, how much money, and how much of the free allowance of which field;
-- nothing, if it has no lease. Behind these, if it was admitted with what is usual, the tokens taken since, and when that was done last.
local function read_lease(id)
  local admitted, tokens, money, free, field = string.match(call("HGET", LEASES, id) or "", "^(%S+) (%S+) (%S+) ?(%S*) ?(%S*)$")
  local more, more_at
  if tokens and not tonumber(tokens) then
    tokens, more, more_at = string.match(tokens, "^(%d+)%+(%d+)@([%d.]+)$")
  end
  return tonumber(admitted), tonumber(tokens), tonumber(money), tonumber(free) or 0, field, tonumber(more), tonumber(more_at)
end

-- Reads what is used and reserved of a free allowance in the period that began then, or in the present one, if that began later.
local function read_free(field, start)
  local began, used, reserved = string.match(call("HGET", TENANT, field) or "0 0 0", "^(%d+) (%d+) (%d+)$")
  began = tonumber(began)
  if start > began then
    return start, 0, tonumber(reserved)
  end
  return began, tonumber(used), tonumber(reserved)
end

-- Changes what is used of a free allowance, in the period that began then and no other, and what is reserved of it.
local function change_free(field, start, used, reserved)
  local began, used_before, reserved_before = read_free(field, start)
  if start == began then
    used_before = used_before + used
  end
  call("HSET", TENANT, field, whole(began) .. " " .. whole(used_before) .. " " .. whole(math.max(0, reserved_before + reserved)))
end

-- Ends a request's lease, and gives back what it has of a free allowance. Returns when it was admitted, with how many tokens and how
-- much money, and what was taken since; nothing, if there is no lease.
local function end_lease(id)
  local admitted, tokens, money, free, field, more, more_at = read_lease(id)
  if not admitted then
    return nil
  end
  call("HDEL", LEASES, id)
  call("ZREM", RUNNING, id)
  if free > 0 then
    change_free(field, 0, 0, -free)
  end
  return admitted, tokens, money, more, more_at
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
    call("EXPIRE", scope.state, scope.state == TENANT and PERIOD_KEPT or KEPT)
    if scope.state == TENANT then
      call("EXPIRE", RUNNING, KEPT)
      call("EXPIRE", LEASES, KEPT)
    else
      call("EXPIRE", KEY_RUNNING, KEPT)
    end
  end
end
`;

export { COMMON };
