-- Broken configurations, and what is said about each: the file, the path, what was expected.
-- luacheck: no max line length

local reading = require("spec.unit.config.reading")

--- Each: what is wrong, the text, the line that must be said (without the file).
local BROKEN = {
    -- The text as a whole.
    { "an empty file", "", "the file is empty" },
    { "a file of comments", "# nothing\n\n", "the file is empty" },
    { "no mapping at all", "- a\n- b\n", "expected a mapping, found a list (line 1)" },
    { "nothing but a marker", "---\n", "expected a mapping, found nothing; give it a value or leave it out (line 2)" },
    { "an open quote", "tenants: 'a\n", "not YAML: found unexpected end of stream, column 1 (line 2)" },
    { "a tab as indentation", "tenants:\n\t- id: a\n",
        "not YAML: found character that cannot start any token, column 1; indent with spaces, not tabs, " ..
        "and quote a text that begins with @ or ` (line 2)" },
    { "bad indentation", "tenants:\n  - id: a\n models: b\n",
        "not YAML: did not find expected key, column 2 (line 3)" },
    { "two documents", reading.text({}) .. "---\na: b\n", "holds more than one document; only one is read (line 4)" },
    { "bytes that are not UTF-8", "tenants:\n  - id: \"\xc3\x28\"\n", "not YAML: invalid trailing UTF-8 octet (line 2)" },
    { "a surrogate in UTF-8", "a: b\nc: \xed\xa0\x80\n", "not YAML: invalid Unicode character (line 2)" },
    { "a zero byte", "a: b\nc: \0\n", "not YAML: control characters are not allowed (line 2)" },
    { "UTF-16", "\xff\xfea\0:\0 \0b\0", "not YAML: the text is UTF-16; save it as UTF-8 (line 1)" },
    { "a reference to the environment in braces without quotes",
        reading.text({ tenants = "tenants: [{id: a, api_keys: [{id: b, secret: ${KEY}}]}]\n" }),
        "not YAML: did not find expected ',' or '}', column 47; inside { } and [ ] a ${NAME} needs quotes: \"${NAME}\" (line 1)" },
    { "more than 1 MiB", ("# " .. ("x"):rep(1022) .. "\n"):rep(1025),
        "larger than 1024 KiB; a tenant with many API keys keeps them in an api_keys_file" },

    -- Members.
    { "an unknown section", reading.text({ more = "budgets: {}\n" }),
        "budgets: unknown member; expected one of alerts, auth, cors, guards, limits, models, pools, responses, store, tenants, trusted_proxies (line 4)" },
    { "a misspelt section", reading.text({ more = "trusted_proxys: []\n" }),
        "trusted_proxys: unknown member; did you mean trusted_proxies? (line 4)" },
    -- Pages of other origins, and bodies.
    { "pages of no origins", reading.text({ more = "cors: {}\n" }), "cors.origins: is missing; expected a list (line 4)" },
    { "an empty list of origins", reading.text({ more = "cors: {origins: []}\n" }),
        "cors.origins: expected a list of 1 to 1000, found an empty list (line 4)" },
    { "an origin that anybody has", reading.text({ more = "cors: {origins: [\"null\"]}\n" }),
        "cors.origins[0]: expected an origin other than null, which is that of anybody's files and sandboxed " ..
            "frames, found the text \"null\" (line 4)" },
    { "an origin with a path", reading.text({ more = "cors: {origins: [\"https://a.example/\"]}\n" }),
        "cors.origins[0]: expected an origin alone, such as https://app.example.com: without a path, a slash " ..
            "at its end or a user, found the text \"https://a.example/\" (line 4)" },
    { "a pattern of origins", reading.text({ more = "cors: {origins: [\"https://*.example\"]}\n" }),
        "cors.origins[0]: expected a whole origin, without patterns; or * alone, for any, found the text \"https://*.example\" (line 4)" },
    { "credentials that browsers send by themselves", reading.text({ more = "cors: {origins: [\"*\"], credentials: true}\n" }),
        "cors.credentials: unknown member; expected one of max_age, origins (line 4)" },
    { "bodies of 32 bytes", reading.text({ more = "limits: {body: 32}\n" }),
        "limits.body: expected a number of bytes such as 65536, 256k, 1m or 1g, at least 1024 bytes, found 32 bytes (line 4)" },
    -- The store.
    { "a store elsewhere without its place", reading.text({ more = "store: {kind: redis}\n" }),
        "store.redis: is missing; expected it, since kind is redis (line 4)" },
    { "a store of an unknown kind", reading.text({ more = "store: {kind: disk}\n" }),
        "store.kind: expected one of memory, redis, found the text \"disk\" (line 4)" },
    { "a Redis without a place", reading.text({ more = "store: {kind: redis, redis: {nodes: 2}}\n" }),
        "store.redis: is missing url or sentinels (line 4)" },
    { "a Redis in two places", reading.text({ more = "store: {kind: redis, redis: {nodes: 2, url: \"redis://a\", sentinels: [\"a:1\"]}}\n" }),
        "store.redis: expected only one of url or sentinels, found 2 (line 4)" },
    { "a Redis that goes by shares of nobody knows how many", reading.text({ more = "store: {kind: redis, redis: {url: \"redis://a\"}}\n" }),
        "store.redis.nodes: is missing; expected how many gateways there are, as on_loss is local and each goes by its share (line 4)" },
    { "Sentinels of no master", reading.text({ more = "store: {kind: redis, redis: {nodes: 1, sentinels: [\"a:1\"]}}\n" }),
        "store.redis.master: is missing; expected what the Sentinels call the master (line 4)" },
    { "a password beside the URL", reading.text({ more = "store: {kind: redis, redis: {nodes: 1, url: \"redis://a\", password: b}}\n" }),
        "store.redis.password: goes into the url (line 4)" },
    { "a master beside the URL", reading.text({ more = "store: {kind: redis, redis: {nodes: 1, url: \"redis://a\", master: b}}\n" }),
        "store.redis.master: goes with sentinels, not with a url (line 4)" },
    { "a user without a password", reading.text({ more = "store: {kind: redis, redis: {nodes: 1, sentinels: [\"a:1\"], master: b, user: c}}\n" }),
        "store.redis.password: is missing; expected the user's (line 4)" },
    { "a Redis URL of another scheme", reading.text({ more = "store: {kind: redis, redis: {nodes: 1, url: \"http://a\"}}\n" }),
        "store.redis.url: expected a URL such as redis://user:password@host:6379/0, or rediss:// for TLS, found another value (line 4)" },
    { "a loss without a policy", reading.text({ more = "store: {kind: redis, redis: {url: \"redis://a\", on_loss: hang}}\n" }),
        "store.redis.on_loss: expected one of local, allow, deny, found the text \"hang\" (line 4)" },
    { "a section of later work", reading.text({ more = "cache: {}\n" }),
        "cache: unknown member; expected one of alerts, auth, cors, guards, limits, models, pools, responses, store, tenants, trusted_proxies (line 4)" },
    { "retries, which a tenant doesn't have",
        reading.text({ tenants = "tenants:\n  - id: acme\n    retries: {attempts: 3}\n" }),
        "tenants[0].retries: unknown member; expected one of allow_ips, api_keys, api_keys_file, budget, guard, id, limits, models (line 3)" },
    { "a limit of nothing", reading.text({ tenants = "tenants:\n  - id: acme\n    limits: {requests_per_minute: 0}\n" }),
        "tenants[0].limits.requests_per_minute: expected a whole number, from 1 to 1000000000000, found 0 (line 3)" },
    { "a limit that is a text", reading.text({ tenants = "tenants:\n  - id: acme\n    limits: {tokens_per_minute: many}\n" }),
        "tenants[0].limits.tokens_per_minute: expected a whole number, found another value (line 3)" },
    { "a budget without money", reading.text({ tenants = "tenants:\n  - id: acme\n    budget: {period: day}\n" }),
        "tenants[0].budget.usd: is missing; expected a number (line 3)" },
    { "a budget of years", reading.text({ tenants = "tenants:\n  - id: acme\n    budget: {usd: 1, period: year}\n" }),
        "tenants[0].budget.period: expected one of day, week, month, found the text \"year\" (line 3)" },
    { "a price below nothing", reading.text({ models = "models: [{name: chat, pool: gpu, price: {input: -1, output: 1}}]\n" }),
        "models[0].price.input: expected a number, from 0 to 1000000, found -1 (line 2)" },
    { "a misspelt member",
        reading.text({ models = "models: [{name: chat, pool: gpu, Upstream_modle: c}]\n" }),
        "models[0].Upstream_modle: unknown member; did you mean upstream_model? (line 2)" },
    { "a member with a strange name", reading.text({ more = "\"a\\nb: c\": 1\n" }),
        "[\"a\\x0ab: c\"]: unknown member; expected one of alerts, auth, cors, guards, limits, models, pools, " ..
            "responses, store, tenants, trusted_proxies (line 4)" },
    { "a member written twice", reading.text({ tenants = "tenants:\n  - id: acme\n    models: []\n    id: beta\n" }),
        "tenants[0].id: written twice, first on line 2 (line 4)" },
    { "a section written twice", reading.text({ more = "pools: []\n" }), "pools: written twice, first on line 3 (line 4)" },
    { "a missing section", reading.PARTS.tenants .. reading.PARTS.pools, "models: is missing; expected a list (line 1)" },
    { "a missing member", reading.text({ models = "models:\n  - {name: chat}\n" }),
        "models[0]: is missing pool or choose (line 3)" },
    { "an empty value", reading.text({ tenants = "tenants:\n" }),
        "tenants: expected a list, found nothing; give it a value or leave it out (line 1)" },
    { "an explicit null", reading.text({ tenants = "tenants: [{id: ~}]\n" }),
        "tenants[0].id: expected 1 to 64 letters, digits, dots, underscores or hyphens, found nothing; " ..
        "give it a value or leave it out (line 1)" },
    { "a mapping in place of a list", reading.text({ models = "models: {name: chat, pool: gpu}\n" }),
        "models: expected a list, found a mapping (line 2)" },
    { "a list in place of a mapping", reading.text({ models = "models: [[chat, gpu]]\n" }),
        "models[0]: expected a mapping, found a list (line 2)" },
    { "a text in place of a list", reading.text({ tenants = "tenants: [{id: acme, models: chat}]\n" }),
        "tenants[0].models: expected a list, found the text \"chat\" (line 1)" },
    { "too few", reading.text({ pools = "pools: [{name: gpu, endpoints: []}]\n" }),
        "pools[0].endpoints: expected a list of at least 1, found an empty list (line 3)" },
    { "a boolean in place of a text", reading.text({ tenants = "tenants: [{id: true}]\n" }),
        "tenants[0].id: expected 1 to 64 letters, digits, dots, underscores or hyphens, found true (line 1)" },

    -- Values.
    { "an identifier with a space", reading.text({ tenants = "tenants: [{id: a b}]\n" }),
        "tenants[0].id: expected 1 to 64 letters, digits, dots, underscores or hyphens, found the text \"a b\" (line 1)" },
    { "an API that isn't spoken",
        reading.text({ pools = "pools: [{name: gpu, api: cohere, endpoints: [{url: \"http://a\"}]}]\n" }),
        "pools[0].api: expected one of openai, azure, anthropic, found the text \"cohere\" (line 3)" },
    { "a duration without a unit",
        reading.text({ pools = "pools: [{name: gpu, endpoints: [{url: \"http://a\"}], timeouts: {read: 60}}]\n" }),
        "pools[0].timeouts.read: expected a duration such as 200ms, 2s, 1m or 1h, found the number 60 (line 3)" },
    { "a duration that is too long",
        reading.text({ pools = "pools: [{name: gpu, endpoints: [{url: \"http://a\"}], timeouts: {connect: 2h}}]\n" }),
        "pools[0].timeouts.connect: expected a duration such as 200ms, 2s, 1m or 1h, from 1 ms to 60000 ms, " ..
        "found 7200000 ms (line 3)" },
    { "an endpoint that is no URL", reading.text({ pools = "pools: [{name: gpu, endpoints: [{url: 10.0.0.1}]}]\n" }),
        "pools[0].endpoints[0].url: expected a URL such as https://host:port/base, found the text \"10.0.0.1\" (line 3)" },
    { "an endpoint with a query",
        reading.text({ pools = "pools: [{name: gpu, endpoints: [{url: \"http://a/?b=c\"}]}]\n" }),
        "pools[0].endpoints[0].url: expected a URL without a query (?) or fragment (#), " ..
        "found the text \"http://a/?b=c\" (line 3)" },
    { "an endpoint with a password",
        reading.text({ pools = "pools: [{name: gpu, endpoints: [{url: \"http://u:canary@a/\"}]}]\n" }),
        "pools[0].endpoints[0].url: expected a URL without a user name or password, found another value (line 3)" },
    { "a port beyond the last", reading.text({ pools = "pools: [{name: gpu, endpoints: [{url: \"http://a:65536\"}]}]\n" }),
        "pools[0].endpoints[0].url: expected a URL such as https://host:port/base" },
    { "a base with /v1", reading.text({ pools = "pools: [{name: gpu, endpoints: [{url: \"http://a/v1/\"}]}]\n" }),
        "pools[0].endpoints[0].url: expected a base without /v1 at its end; the API's path, which begins with /v1, " ..
        "is added to it (line 3)" },
    { "a network with host bits", reading.text({ more = "trusted_proxies: [10.0.0.1/8]\n" }),
        "trusted_proxies[0]: expected no bits set after the first 8" },
    { "no network", reading.text({ more = "trusted_proxies: [10.0.0.0/8, localhost]\n" }),
        "trusted_proxies[1]: expected an IPv4 or IPv6 network such as 10.0.0.0/8 or 2001:db8::/32" },
    { "a model name with a space", reading.text({ models = "models: [{name: my chat, pool: gpu}]\n" }),
        "models[0].name: expected a model name of 1 to 128 printable ASCII characters without spaces, quotes and " ..
        "backslashes, found the text \"my chat\" (line 2)" },
    { "a hash that is too short",
        reading.text({ tenants = "tenants: [{id: acme, api_keys: [{id: web, sha256: abcd}]}]\n" }),
        "tenants[0].api_keys[0].sha256: expected a SHA-256 of 64 hexadecimal digits, found another value (line 1)" },
    { "an API key with neither hash nor secret", reading.text({ tenants = "tenants: [{id: acme, api_keys: [{id: web}]}]\n" }),
        "tenants[0].api_keys[0]: is missing sha256 or secret (line 1)" },
    { "an issuer with two sources of keys",
        reading.text({ more = "auth: {jwt: [{issuer: a, audience: b, algorithms: [HS256], secret: c, jwks_file: d}]}\n" }),
        "auth.jwt[0]: expected only one of jwks_file or jwks_url or public_key_file or secret, found 2 (line 4)" },
    { "the algorithm none",
        reading.text({ more = "auth: {jwt: [{issuer: a, audience: b, algorithms: [none], jwks_file: d}]}\n" }),
        "auth.jwt[0].algorithms[0]: expected one of RS256" },
    { "a number that is too large",
        reading.text({
            more = "auth: {jwt: [{issuer: a, audience: b, algorithms: [RS256], jwks_file: d, leeway_seconds: 601}]}\n",
        }),
        "auth.jwt[0].leeway_seconds: expected a number, from 0 to 600, found 601 (line 4)" },
    { "a text in place of a number",
        reading.text({
            more = "auth: {jwt: [{issuer: a, audience: b, algorithms: [RS256], jwks_file: d, leeway_seconds: soon}]}\n",
        }),
        "auth.jwt[0].leeway_seconds: expected a number, found the text \"soon\" (line 4)" },
    { "an account key with a newline",
        reading.text({
            pools = "pools: [{name: gpu, endpoints: [{url: \"http://a\"}], keys: [{id: a, secret: \"canary\\n\"}]}]\n",
        }),
        "pools[0].keys[0].secret: expected a credential of 1 to 4096 printable ASCII characters without spaces, " ..
        "found another value (line 3)" },

    { "an issuer whose tokens may be of no type",
        reading.text({ more = "auth: {jwt: [{issuer: a, audience: b, algorithms: [RS256], jwks_file: d, typ: []}]}\n" }),
        "auth.jwt[0].typ: expected a list of at least 1, found an empty list (line 4)" },
    { "an issuer that may name nobody",
        reading.text({ more = "auth: {jwt: [{issuer: a, audience: b, algorithms: [RS256], jwks_file: d, tenants: []}]}\n" }),
        "auth.jwt[0].tenants: expected a list of at least 1, found an empty list (line 4)" },
    { "a default with a reference",
        reading.text({ pools = "pools: [{name: gpu, endpoints: [{url: \"http://a\"}], keys: [{id: a, secret: \"${A:-${B}}\"}]}]\n" }),
        "pools[0].keys[0].secret: expected a default without a reference of its own (line 3)" },

    -- Across members.
    { "an issuer that may name a tenant that isn't there",
        reading.text({ more = "auth: {jwt: [{issuer: a, audience: b, algorithms: [RS256], jwks_file: d, tenants: [acme, acmee]}]}\n" }),
        "auth.jwt[0].tenants[1]: expected the name of a tenant, found \"acmee\"; did you mean acme? (line 4)" },
    { "two tenants of one name", reading.text({ tenants = "tenants:\n  - id: acme\n  - id: acme\n" }),
        "tenants[1].id: expected another id, found the one of tenants[0] (line 3)" },
    { "two models of one name", reading.text({ models = "models:\n  - {name: a, pool: gpu}\n  - {name: a, pool: gpu}\n" }),
        "models[1].name: expected another name, found the one of models[0] (line 4)" },
    { "two pools of one name",
        reading.text({ pools = reading.PARTS.pools:gsub("%]\n$", ", {name: gpu, endpoints: [{url: \"http://b\"}]}]\n") }),
        "pools[1].name: expected another name, found the one of pools[0] (line 3)" },
    { "two account keys of one name",
        reading.text({
            pools = "pools: [{name: gpu, endpoints: [{url: \"http://a\"}], keys: [{id: a, secret: b}, {id: a, secret: c}]}]\n",
        }),
        "pools[0].keys[1].id: expected another id, found the one of pools[0].keys[0] (line 3)" },
    { "one endpoint twice, written in two ways",
        reading.text({ pools = "pools: [{name: gpu, endpoints: [{url: \"http://A\"}, {url: \"http://a:80/\"}]}]\n" }),
        "pools[0].endpoints[1].url: expected another url, found the one of pools[0].endpoints[0] (line 3)" },
    { "two schemes in one pool",
        reading.text({ pools = "pools: [{name: gpu, endpoints: [{url: \"http://a\"}, {url: \"https://b\"}]}]\n" }),
        "pools[0].endpoints[1].url: expected http, as the pool's first endpoint has it, found https (line 3)" },
    { "a model without a pool", reading.text({ models = "models: [{name: chat, pool: gpv}]\n" }),
        "models[0].pool: expected the name of a pool, found \"gpv\"; did you mean gpu? (line 2)" },

    -- Guards.
    { "a guard that isn't there", reading.text({
        tenants = "tenants: [{id: acme, guard: strikt}]\n", more = "guards: [{name: strict, patterns: {email: flag}}]\n" }),
        "tenants[0].guard: expected the name of a guard, found \"strikt\"; did you mean strict? (line 1)" },
    { "a guard where there are none", reading.text({ tenants = "tenants: [{id: acme, guard: strict}]\n" }),
        "tenants[0].guard: expected the name of a guard, found \"strict\" (line 1)" },
    { "two guards of one name",
        reading.text({ more = "guards:\n  - {name: a, patterns: {email: flag}}\n  - {name: a, lexicons: [{file: b}]}\n" }),
        "guards[1].name: expected another name, found the one of guards[0] (line 6)" },
    { "a guard that looks for nothing", reading.text({ more = "guards: [{name: a}]\n" }),
        "guards[0]: looks for nothing; expected lexicons, or patterns that are not off (line 4)" },
    { "a guard whose lists are none and whose patterns are off",
        reading.text({ more = "guards: [{name: a, lexicons: [], patterns: {email: off, us_ssn: off}}]\n" }),
        "guards[0]: looks for nothing; expected lexicons, or patterns that are not off (line 4)" },
    { "a guard that looks nowhere", reading.text({ more = "guards: [{name: a, on: [], patterns: {email: flag}}]\n" }),
        "guards[0].on: expected a list of at least 1, found an empty list (line 4)" },
    { "a guard that looks elsewhere", reading.text({ more = "guards: [{name: a, on: [request], patterns: {email: flag}}]\n" }),
        "guards[0].on[0]: expected one of prompt, completion, found the text \"request\" (line 4)" },
    { "a pattern that isn't known", reading.text({ more = "guards: [{name: a, patterns: {e_mail: flag, us_ssn: flag}}]\n" }),
        "guards[0].patterns.e_mail: unknown member; did you mean email? (line 4)" },
    { "an action that isn't known", reading.text({ more = "guards: [{name: a, lexicons: [{file: b, action: allow}]}]\n" }),
        "guards[0].lexicons[0].action: expected one of block, mask, flag, found the text \"allow\" (line 4)" },
    { "a list that is off", reading.text({ more = "guards: [{name: a, lexicons: [{file: b, action: off}]}]\n" }),
        "guards[0].lexicons[0].action: expected one of block, mask, flag, found the text \"off\" (line 4)" },
    { "a list without a file", reading.text({ more = "guards: [{name: a, lexicons: [{action: flag}]}]\n" }),
        "guards[0].lexicons[0].file: is missing; expected the path of a file (line 4)" },
    { "two lists of one name", reading.text({ more = "guards:\n  - name: a\n    lexicons:\n" ..
        "      - {file: b/words.txt}\n      - {file: c/words.txt}\n" }),
        "guards[0].lexicons[1].name: expected another name, found the one of guards[0].lexicons[0] (line 8)" },
    { "more lists than can be told apart",
        reading.text({ more = "guards: [{name: a, lexicons: [" .. (function()
            local parts = {}
            for index = 1, 257 do parts[index] = "{file: w" .. index .. "}" end
            return table.concat(parts, ", ")
        end)() .. "]}]\n" }),
        "guards[0].lexicons: expected a list of 0 to 256, found 257 items (line 4)" },

    -- The environment.
    { "a variable that isn't set", reading.text({ tenants = "tenants:\n  - id: ${NOT_SET}\n" }),
        "tenants[0].id: the environment variable NOT_SET is not set (line 2)" },
    { "a reference without an end", reading.text({ tenants = "tenants:\n  - id: ${NOT_SET\n" }),
        "tenants[0].id: a ${ has no }; write $${ for the characters themselves (line 2)" },
    { "a reference that isn't one", reading.text({ tenants = "tenants:\n  - id: ${NOT-SET}\n" }),
        "tenants[0].id: expected ${NAME} or ${NAME:-default}; write $${ for the characters themselves (line 2)" },

    -- What YAML can do and this may not.
    { "an anchor", reading.text({ more = "trusted_proxies: &all [10.0.0.0/8]\n" }),
        "trusted_proxies: anchors (&name) and aliases (*name) are not accepted; write the value out, " ..
        "or quote a text that begins so (line 4)" },
    { "an alias, as an unquoted * makes one", reading.text({ tenants = "tenants: [{id: acme, models: [*]}]\n" }),
        "not YAML: did not find expected alphabetic or numeric character" },
    { "a tag", reading.text({ more = "trusted_proxies: !!set {}\n" }),
        "trusted_proxies: tags (!name) are not accepted; quote a text that begins so (line 4)" },
    { "a merge key", reading.text({ tenants = "tenants: [{id: acme, <<: {models: []}}]\n" }),
        "tenants[0]: merge keys (<<) are not accepted; write the members out (line 1)" },
    { "a list as the name of a member", reading.text({ more = "? [a]\n: b\n" }),
        "the name of a member must be a text, found a list or a mapping (line 4)" },
    { "a zero byte in an escape", reading.text({ tenants = "tenants: [{id: \"acme\\0x\"}]\n" }),
        "tenants[0].id: a string can't hold a zero byte (line 1)" },
}

describe("A broken configuration", function()
    for _, case in ipairs(BROKEN) do
        local name, text, expected = case[1], case[2], case[3]
        it("is refused: " .. name, function()
            local configuration, lines = reading.load(text)
            assert.is_nil(configuration)
            local wanted = reading.FILE .. ": " .. expected
            local found = false
            for _, line in ipairs(lines) do
                found = found or line:sub(1, #wanted) == wanted
            end
            assert.is_true(found, "expected\n" .. wanted .. "\nfound\n" .. table.concat(lines, "\n"))
        end)
    end

    it("has only the one problem that is in it", function()
        for _, case in ipairs(BROKEN) do
            local _, lines = reading.load(case[2])
            assert.equals(1, #lines, case[1] .. ":\n" .. table.concat(lines, "\n"))
        end
    end)

    it("that can't be read is told with its reason", function()
        local configuration, problems = require("sluice.config.load").load("/nowhere.yaml", reading.tools({}))
        assert.is_nil(configuration)
        assert.same({ { path = "", message = "can't be read: No such file or directory" } }, problems)
    end)

    it("tells all its problems at once, in the order of their lines", function()
        local _, lines = reading.load(
            "tenants:\n  - id: a b\n    models: chat\nmodels:\n  - {name: chat, pool: nowhere}\npools:\n  - name: ${NOT_SET}\n    endpoints: []\n")
        assert.equals(5, #lines, table.concat(lines, "\n"))
        for index, path in ipairs({ "tenants[0].id", "tenants[0].models", "models[0].pool", "pools[0].name", "pools[0].endpoints" }) do
            assert.is_truthy(lines[index]:find(": " .. path .. ": ", 1, true), lines[index])
        end
    end)

    it("with thousands of problems tells a hundred and counts the rest", function()
        local parts = {}
        for index = 1, 5000 do
            parts[index] = ("  - {id: \"a %d\"}\n"):format(index)
        end
        local _, lines = reading.load(reading.text({ tenants = "tenants:\n" .. table.concat(parts) }))
        assert.equals(101, #lines)
        assert.is_truthy(table.concat(lines, "\n"):find("4900 more problems are not shown", 1, true))
    end)
end)

describe("A message", function()
    local CANARIES = { "canary1", "canary2 x", "canary3" }

    it("never holds a secret, wherever the secret stands", function()
        local texts = {
            reading.text({ tenants = "tenants: [{id: acme, api_keys: [\"canary1\"]}]\n" }),
            reading.text({ tenants = "tenants: [{id: acme, api_keys: \"canary1\"}]\n" }),
            reading.text({ tenants = "tenants: [{id: acme, api_keys: [{id: a, sha256: canary1}]}]\n" }),
            reading.text({ tenants = "tenants: [{id: acme, api_keys: [{id: a, secret: c1}]}]\n" }),
            reading.text({ tenants = "tenants: [{id: acme, api_keys: [{id: a, secret: [canary1]}]}]\n" }),
            reading.text({ tenants = "tenants: [{id: acme, api_key: canary1}]\n" }),
            reading.text({ tenants = "tenants: [{id: acme, password: canary1}]\n" }),
            reading.text({ more = "auth: {jwt: [{issuer: a, audience: b, algorithms: [canary1], secret: {a: canary3}}]}\n" })
                :gsub("%[canary1%]", "[HS256]"),
            reading.text({ pools = "pools: [{name: gpu, endpoints: [{url: \"http://a\"}], keys: [canary1]}]\n" }),
            reading.text({
                pools = "pools: [{name: gpu, endpoints: [{url: \"http://a\"}], keys: [{id: a, secret: \"canary2 x\"}]}]\n",
            }),
            reading.text({ pools = "pools: [{name: gpu, endpoints: [{url: \"http://canary1:canary3@a\"}]}]\n" }),
            "tenants: \"canary1",
        }
        for _, text in ipairs(texts) do
            local configuration, lines = reading.load(text)
            assert.is_nil(configuration, text)
            assert.is_true(#lines > 0)
            for _, canary in ipairs(CANARIES) do
                assert.is_nil(table.concat(lines, "\n"):find(canary, 1, true), table.concat(lines, "\n"))
            end
        end
    end)

    it("never holds what came from the environment", function()
        local places = {
            reading.text({ tenants = "tenants: [{id: \"${VALUE}\"}]\n" }),
            reading.text({ tenants = "tenants: [{id: acme, models: \"${VALUE}\"}]\n" }),
            reading.text({ pools = "pools: [{name: gpu, endpoints: [{url: \"${VALUE}\"}]}]\n" }),
            reading.text({ pools = "pools: [{name: gpu, api: \"${VALUE}\", endpoints: [{url: \"http://a\"}]}]\n" }),
            reading.text({ more = "trusted_proxies: [\"${VALUE}\"]\n" }),
        }
        for _, text in ipairs(places) do
            local configuration, lines = reading.load(text, { VALUE = "canary2 x" })
            assert.is_nil(configuration, text)
            assert.is_nil(table.concat(lines, "\n"):find("canary", 1, true), table.concat(lines, "\n"))
        end
        local _, lines = reading.load(
            reading.text({
                more = "auth: {jwt: [{issuer: a, audience: b, algorithms: [RS256], jwks_file: d, leeway_seconds: \"${N}\"}]}\n",
            }), { N = "7341" })
        assert.equals(1, #lines)
        assert.is_nil(lines[1]:find("7341", 1, true))
    end)

    it("holds no control characters, and is short", function()
        local _, lines = reading.load(reading.text({
            tenants = "tenants: [{id: \"a\\nforged: line\\e[31m" .. ("x"):rep(5000) .. "\"}]\n",
        }))
        assert.equals(1, #lines)
        assert.is_nil(lines[1]:find("%c"))
        assert.is_true(#lines[1] < 300)
    end)
end)
