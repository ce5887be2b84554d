local redis_error = require("sluice.edge.redis_error")

local DIGEST = "bfc3c63f7544a2d7b09f38c6786ee006751a399c"

-- As Redis 7.0 says it.
local function now(words, place) return ("%s script: %s, on @user_script:%d."):format(words, DIGEST, place or 3) end

-- As Redis 5 and 6 say it: of a command that has run, of one that is refused to the script, and of Lua.
local function before(words) return ("ERR Error running script (call to f_%s): @user_script:3: %s"):format(DIGEST, words) end
local function refused_before(words) return ("ERR Error running script (call to f_%s): @user_script: 3: %s"):format(DIGEST, words) end

local FINAL = {
    now("WRONGTYPE Operation against a key holding the wrong kind of value"),
    before("WRONGTYPE Operation against a key holding the wrong kind of value"),
    now("ERR hash value is not an integer"), before("ERR hash value is not an integer"),
    now("ERR value is not an integer or out of range"), before("ERR value is not an integer or out of range"),
    now("ERR value is not a valid float"), before("ERR value is not a valid float"),
    now("ERR increment or decrement would overflow"), before("ERR increment or decrement would overflow"),
    now("ERR user_script:12: attempt to index local 'x' (a nil value)", 12),
    before("user_script:12: attempt to index local 'x' (a nil value)"),
    "ERR user_script:12: attempt to perform arithmetic on a nil value",
}

local READONLY = "READONLY You can't write against a read only replica."
local OOM = "OOM command not allowed when used memory > 'maxmemory'."
local MISCONF = "MISCONF Redis is configured to save RDB snapshots, but it is currently not able to persist on disk."
local MAY_NOT_RUN = "The user executing the script can't run this command or subcommand"
local MAY_NOT_USE = "The user executing the script can't access at least one of the keys mentioned in the command arguments"

local NOT_NOW = {
    READONLY, now(READONLY), refused_before("-" .. READONLY), before(READONLY),
    OOM, now(OOM), refused_before("-" .. OOM), before(OOM),
    MISCONF, now(MISCONF), refused_before("-" .. MISCONF),
    now("NOREPLICAS Not enough good replicas to write."), refused_before("-NOREPLICAS Not enough good replicas to write."),
    now("ERR " .. MAY_NOT_RUN), refused_before(MAY_NOT_RUN), before(MAY_NOT_RUN),
    now("ERR " .. MAY_NOT_USE), refused_before(MAY_NOT_USE),
    now("NOPERM User sluice has no permissions to run the 'hset' command"),
    "NOPERM this user has no permissions to run the 'evalsha' command or its subcommand",
    now("ERR ACL failure in script: User sluice has no permissions to run the 'hset' command"),
    now("ERR Script killed by user with SCRIPT KILL."), before("Script killed by user with SCRIPT KILL..."),
    now("ERR Wrong number of args calling Redis command from script"),
    now("ERR not enough memory"), before("not enough memory"), "ERR Error running script (call to f_" .. DIGEST .. "): not enough memory",
    "LOADING Redis is loading the dataset in memory", "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
    "NOAUTH Authentication required.", "WRONGPASS invalid username-password pair or user is disabled.", "ERR invalid password",
    "NOSCRIPT No matching script. Please use EVAL.", "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
    "CLUSTERDOWN The cluster is down", "UNKILLABLE Sorry the script already executed write commands against the dataset.",
    "ERR max number of clients reached", "ERR unknown command `EVALSHA`, with args beginning with: ",
    "timeout", "closed", "connection refused", "nothing", "an error", "", "script",
    -- What somebody's key is called does not matter.
    now("ERR something about WRONGTYPE and user_script:3: in a script"), "ERR WRONGTYPE",
}

describe("an error that a script ends with", function()
    it("is final if its own data or the script itself are wrong, whichever Redis says so", function()
        for _, text in ipairs(FINAL) do assert.is_true(redis_error.is_final(text), text) end
    end)

    it("is none for ever if Redis can't now, or if nobody knows what it means", function()
        for _, text in ipairs(NOT_NOW) do assert.is_false(redis_error.is_final(text), text) end
    end)
end)
