-- Reads configurations for the specs of this folder: texts in, problems out.

local load = require("sluice.config.load").load
local problem_text = require("sluice.config.problem").problem_text

local reading = {}

reading.FILE = "/etc/sluice/sluice.yaml"

--- The parts of a configuration that is right; each is a list of lines.
reading.PARTS = {
    tenants = "tenants: [{id: acme, api_keys: [{id: web, secret: sk-test-web}]}]\n",
    models = "models: [{name: chat, pool: gpu}]\n",
    pools = "pools: [{name: gpu, endpoints: [{url: \"http://10.0.0.11:8000\"}]}]\n",
}

--- A configuration that is right but for the sections in `changed`.
function reading.text(changed)
    local parts = {}
    for _, name in ipairs({ "tenants", "models", "pools" }) do
        parts[#parts + 1] = changed[name] or reading.PARTS[name]
    end
    parts[#parts + 1] = changed.more or ""
    return table.concat(parts)
end

--- What loading takes, with `files` by path and `environment` by name in place of the real ones.
function reading.tools(files, environment)
    return {
        read_file = function(path)
            if files[path] then
                return files[path]
            end
            return nil, "No such file or directory"
        end,
        environment = function(name) return (environment or {})[name] end,
        sha256_hex = require("sluice.edge.crypto").sha256_hex,
        pause = function() end,
    }
end

--- Loads a text. Returns the configuration, and the problems as the lines a user sees.
function reading.load(text, environment)
    local configuration, problems = load(reading.FILE, reading.tools({ [reading.FILE] = text }, environment))
    local lines = {}
    for index, problem in ipairs(problems) do
        lines[index] = problem_text(reading.FILE, problem)
    end
    return configuration, lines
end

return reading
