/**
 * The ids of responses in a Redis that several nodes share. A tenant has a hash, from id to record, and a sorted set of the
 * same ids by the second in which each was last written, so that the oldest can go: after thirty days, or when there are too
 * many.
 *
 * Scripts are given seven keys, of which the first two count, and arguments in one text with | between.
 */

import { KEPT_SECONDS } from "./record";

interface ResponseScript {
  name: string;
  text: string;
}

/** So many ids are known of a tenant: those of its latest responses. A tenant's own flood pushes out its own. */
const MOST_IDS = 100000;

const COMMON = `
local RECORDS, AGES = KEYS[1], KEYS[2]
local call = redis.call
local ARGUMENTS = {}
for argument in string.gmatch(ARGV[1] .. "|", "([^|]*)|") do
  ARGUMENTS[#ARGUMENTS + 1] = argument
end
`;

/**
 * Keeps a record under ids. Arguments: the record, and the ids. One that is gone stays gone, whoever comes later with what was
 * before.
 */
const REMEMBER: ResponseScript = {
  name: "remember",
  text: `${COMMON}
local seconds = tonumber(call("TIME")[1])
for index = 2, #ARGUMENTS do
  local id = ARGUMENTS[index]
  local before = call("HGET", RECORDS, id)
  if not before or string.sub(before, 1, 5) ~= "gone " then
    call("HSET", RECORDS, id, ARGUMENTS[1])
    call("ZADD", AGES, seconds, id)
  end
end
local function drop(ids)
  for _, id in ipairs(ids) do
    call("HDEL", RECORDS, id)
    call("ZREM", AGES, id)
  end
end
drop(call("ZRANGEBYSCORE", AGES, "-inf", seconds - ${KEPT_SECONDS}, "LIMIT", 0, 1000))
local over = call("ZCARD", AGES) - ${MOST_IDS}
if over > 0 then
  drop(call("ZRANGEBYSCORE", AGES, "-inf", "+inf", "LIMIT", 0, over))
end
call("EXPIRE", RECORDS, ${KEPT_SECONDS})
call("EXPIRE", AGES, ${KEPT_SECONDS})
return "kept"
`,
};

/** What is kept under ids. Arguments: the ids. Returns a record for each, or nothing, with | between. */
const RECALL: ResponseScript = {
  name: "recall",
  text: `${COMMON}
local found = {}
for index, id in ipairs(ARGUMENTS) do
  found[index] = call("HGET", RECORDS, id) or ""
end
return table.concat(found, "|") .. "|"
`,
};

/** The keys for a script. */
function response_keys(tenant: string): string[] {
  const records = `sluice:{${tenant}}:responses`;
  const ages = `${records}:ages`;
  return [records, ages, ages, ages, ages, ages, ages];
}

export { RECALL, REMEMBER, response_keys };
export type { ResponseScript };
