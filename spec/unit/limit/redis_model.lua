-- As much of Redis as the scripts use, in memory: strings in, strings out, and a clock that the spec sets.

local redis_model = {}

local function sorted_keys(of)
    local keys = {}
    for key in pairs(of) do keys[#keys + 1] = key end
    table.sort(keys)
    return keys
end

--- An empty Redis. `now` is its time in seconds, `keys` what it holds, `lives` the seconds that each key was last given,
--- `forbidden` a command that it refuses.
function redis_model.new()
    local model = { keys = {}, lives = {}, now = 0, written = 0 }
    local commands = {}

    local function value_of(key, make)
        assert(type(key) == "string" and key:find("{", 1, true), "a key with a hash tag")
        if model.keys[key] == nil and make then model.keys[key] = {} end
        return model.keys[key] or {}
    end

    local function tidy(key)
        if model.keys[key] and next(model.keys[key]) == nil then model.keys[key], model.lives[key] = nil, nil end
    end

    function commands.TIME()
        local seconds = math.floor(model.now)
        return { ("%d"):format(seconds), ("%d"):format(math.floor((model.now - seconds) * 1e6 + 0.5)) }
    end
    function commands.SISMEMBER(key, member) return value_of(key)[member] and 1 or 0 end
    function commands.SADD(key, member)
        local members = value_of(key, true)
        local added = members[member] == nil and 1 or 0
        members[member] = true
        return added
    end
    function commands.SREM(key, member)
        value_of(key)[member] = nil
        tidy(key)
    end
    function commands.SCARD(key) return #sorted_keys(value_of(key)) end
    function commands.HGET(key, field) return value_of(key)[field] or false end
    function commands.HMGET(key, ...)
        local values = {}
        for index, field in ipairs({ ... }) do values[index] = value_of(key)[field] or false end
        return values
    end
    function commands.HSET(key, ...)
        local fields = { ... }
        for index = 1, #fields, 2 do value_of(key, true)[fields[index]] = fields[index + 1] end
    end
    function commands.HDEL(key, field)
        value_of(key)[field] = nil
        tidy(key)
    end
    function commands.HINCRBY(key, field, by)
        assert(tostring(by):find("^%-?%d+$"), "a whole number")
        local sum = (tonumber(value_of(key)[field]) or 0) + tonumber(by)
        value_of(key, true)[field] = ("%.0f"):format(sum)
        return sum
    end
    function commands.ZADD(key, score, member) value_of(key, true)[member] = tonumber(score) end
    function commands.ZREM(key, member)
        value_of(key)[member] = nil
        tidy(key)
    end
    function commands.ZSCORE(key, member)
        local score = value_of(key)[member]
        return score and ("%.17g"):format(score) or false
    end
    function commands.ZCARD(key) return #sorted_keys(value_of(key)) end
    function commands.ZRANGEBYSCORE(key, low, high)
        assert(low == "-inf")
        local found = {}
        for _, member in ipairs(sorted_keys(value_of(key))) do
            if value_of(key)[member] <= tonumber(high) then found[#found + 1] = member end
        end
        return found
    end
    function commands.ZREMRANGEBYSCORE(key, low, high)
        for _, member in ipairs(commands.ZRANGEBYSCORE(key, low, high)) do commands.ZREM(key, member) end
    end
    function commands.EXPIRE(key, seconds)
        if model.keys[key] then model.lives[key] = seconds end
    end

    local function call(command, ...)
        if model.forbidden == command then error("ERR can't run this command", 0) end
        return assert(commands[command], command)(...)
    end
    local function protected(...)
        local done, result = pcall(call, ...)
        return done and result or { err = result }
    end

    --- Runs a script with its seven keys and its arguments, as the client gives them.
    function model.run(script, parts)
        local keys = {}
        for index = 1, 7 do keys[index] = parts[index] end
        local chunk = assert(loadstring(script.text, script.name))
        setfenv(chunk, setmetatable({
            KEYS = keys,
            ARGV = { table.concat(parts, "|", 8) },
            redis = { call = call, pcall = protected },
        }, { __index = _G }))
        return chunk()
    end

    return model
end

return redis_model
