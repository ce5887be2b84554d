-- Reads Prometheus' text format 0.0.4 and accepts nothing else. Returns the value of each series and the type of
-- each metric; anything out of order is an error with the line's number.

local NUMBERS = { ["+Inf"] = math.huge, ["-Inf"] = -math.huge, ["NaN"] = 0 / 0 }

local function parse_labels(text, fail)
    local labels, order, at = {}, {}, 1
    while at <= #text do
        local name, next_at = text:match('^([%a_][%w_]*)="()', at)
        if not name then fail("a label's name was expected at: " .. text:sub(at)) end
        if labels[name] then fail("label twice: " .. name) end
        local value = {}
        at = next_at
        while true do
            local character = text:sub(at, at)
            if character == "" then fail("a label value has no end") end
            if character == '"' then break end
            if character == "\\" then
                local escaped = text:sub(at + 1, at + 1)
                local plain = ({ n = "\n", ["\\"] = "\\", ['"'] = '"' })[escaped]
                if not plain then fail("unknown escape: \\" .. escaped) end
                value[#value + 1] = plain
                at = at + 2
            else
                value[#value + 1] = character
                at = at + 1
            end
        end
        labels[name] = table.concat(value)
        order[#order + 1] = name
        at = at + 1
        if at <= #text then
            if text:sub(at, at) ~= "," then fail("a comma was expected at: " .. text:sub(at)) end
            at = at + 1
        end
    end
    return labels, order
end

local function sample_end(line)
    -- The closing brace is the first one outside of quotation marks.
    local quoted, at = false, line:find("{", 1, true)
    while at <= #line do
        local character = line:sub(at, at)
        if quoted and character == "\\" then
            at = at + 1
        elseif character == '"' then
            quoted = not quoted
        elseif character == "}" and not quoted then
            return at
        end
        at = at + 1
    end
end

local function parse(text)
    local values, types, samples, finished = {}, {}, {}, {}
    local current, helped, number = nil, nil, 0
    local function fail(message) error(("line %d: %s"):format(number, message), 0) end
    if text ~= "" and text:sub(-1) ~= "\n" then error("the text doesn't end with a newline", 0) end

    for line in text:gmatch("([^\n]*)\n") do
        number = number + 1
        local help_name = line:match("^# HELP ([%a_:][%w_:]*) .")
        local type_name, kind = line:match("^# TYPE ([%a_:][%w_:]*) (%l+)$")
        if help_name then
            if types[help_name] then fail("metric twice: " .. help_name) end
            helped = help_name
        elseif type_name then
            if type_name ~= helped then fail("TYPE without its HELP: " .. type_name) end
            if kind ~= "counter" and kind ~= "gauge" and kind ~= "histogram" then fail("type " .. kind) end
            if current then finished[current] = true end
            types[type_name] = kind
            current = type_name
        else
            if line:sub(1, 1) == "#" or line == "" then fail("neither a sample nor HELP nor TYPE: " .. line) end
            local name = line:match("^[%a_:][%w_:]*")
            if not name then fail("no name: " .. line) end
            local rest, labels, order = line:sub(#name + 1), {}, {}
            if rest:sub(1, 1) == "{" then
                local finish = sample_end(line)
                if not finish then fail("no closing brace: " .. line) end
                labels, order = parse_labels(line:sub(#name + 2, finish - 1), fail)
                rest = line:sub(finish + 1)
            end
            local written = rest:match("^ (%S+)$")
            if not written then fail("no value: " .. line) end
            local value = NUMBERS[written] or (written:match("^[-+]?[%d.]+[eE]?[-+]?%d*$") and tonumber(written))
            if not value then fail("not a number: " .. written) end
            local metric = name
            if types[current] == "histogram" then metric = name:gsub("_bucket$", ""):gsub("_sum$", ""):gsub("_count$", "") end
            if metric ~= current or finished[metric] then fail("a sample outside of its metric: " .. line) end
            local key = line:sub(1, #line - #rest)
            if values[key] ~= nil then fail("series twice: " .. key) end
            values[key] = value
            samples[#samples + 1] = { metric = metric, name = name, labels = labels, order = order, value = value, number = number }
        end
    end

    local histograms = {}
    for _, sample in ipairs(samples) do
        if types[sample.metric] == "histogram" then
            local others = {}
            for _, name in ipairs(sample.order) do
                if name ~= "le" then others[#others + 1] = name .. "=" .. sample.labels[name] end
            end
            local key = sample.metric .. "{" .. table.concat(others, ",") .. "}"
            local histogram = histograms[key] or { bound = -math.huge, total = 0 }
            histograms[key] = histogram
            number = sample.number
            if sample.name == sample.metric .. "_bucket" then
                local bound = NUMBERS[sample.labels.le] or tonumber(sample.labels.le)
                if not bound or bound <= histogram.bound then fail("buckets out of order: " .. key) end
                if sample.value < histogram.total then fail("buckets that aren't cumulative: " .. key) end
                histogram.bound, histogram.total = bound, sample.value
            elseif sample.name == sample.metric .. "_count" then
                if histogram.bound ~= math.huge then fail("no +Inf bucket: " .. key) end
                if histogram.total ~= sample.value then fail("count is not the +Inf bucket: " .. key) end
                histogram.counted = true
            else
                histogram.summed = true
            end
        end
    end
    for key, histogram in pairs(histograms) do
        if not (histogram.counted and histogram.summed) then error("no sum or count: " .. key, 0) end
    end
    return values, types
end

return { parse = parse }
