-- Tokens that are minted here are held against the gateway's own verification.

local command = require("spec.unit.cli.command")
local crypto = require("sluice.edge.crypto")
local build_directory = require("sluice.auth.directory").build_directory
local identify = require("sluice.auth.identify").identify
local json = require("sluice.wire.json")
local shape = require("sluice.wire.shape")
local read_file = require("sluice.edge.file").read_file

local SECRET = ("0123456789abcdef"):rep(4)

local KEYS = {
    RS256 = "genrsa -out private.pem 2048",
    RS384 = "genrsa -out private.pem 2048",
    RS512 = "genrsa -out private.pem 2048",
    PS256 = "genrsa -out private.pem 2048",
    PS384 = "genrsa -out private.pem 2048",
    PS512 = "genrsa -out private.pem 2048",
    ES256 = "ecparam -name prime256v1 -genkey -noout -out private.pem",
    ES384 = "ecparam -name secp384r1 -genkey -noout -out private.pem",
    ES512 = "ecparam -name secp521r1 -genkey -noout -out private.pem",
    EdDSA = "genpkey -algorithm ed25519 -out private.pem",
}

describe("A minted token", function()
    local folder

    before_each(function() folder = command.folder() end)
    after_each(function() command.remove(folder) end)

    local function mint(arguments, variables)
        return command.run(folder, "token mint --issuer https://id.test --audience sluice --tenant acme " .. arguments, variables)
    end

    --- Who the gateway takes the bearer of a token for, `later` seconds from now.
    local function identified(token, issuer, later)
        issuer.issuer, issuer.audience = "https://id.test", "sluice"
        local walk = json.walker(shape.compile({}), json.NO_SINK)
        local directory, problems = build_directory({ jwt = { issuer } }, { { id = "acme" } }, {
            reader = {
                cryptography = crypto,
                strict_check = function(text) return json.check(walk, text) end,
                decode = require("cjson.safe").decode,
            },
            read_file = read_file,
            pause = function() end,
        })
        assert.same({}, problems)
        return identify(directory, token, os.time() + (later or 0))
    end

    for _, algorithm in ipairs({ "HS256", "HS384", "HS512" }) do
        it("with " .. algorithm .. " is accepted", function()
            local status, output, errors = mint("--algorithm " .. algorithm .. " --subject ann --secret-env SECRET", "SECRET=" .. SECRET)
            assert.same({ 0, "" }, { status, errors })
            local principal, refusal = identified(output:gsub("\n$", ""), { algorithms = { algorithm }, secret = SECRET })
            assert.is_nil(refusal)
            assert.same({ "acme", "jwt:ann" }, { principal.tenant.id, principal.key })
        end)
    end

    for algorithm, command_line in pairs(KEYS) do
        it("with " .. algorithm .. " is accepted, many times over", function()
            command.output_of("cd '" .. folder .. "' && openssl " .. command_line .. " 2>&1 && " ..
                "openssl pkey -in private.pem -pubout -out public.pem 2>&1")
            for _ = 1, 4 do
                local status, output, errors = mint("--algorithm " .. algorithm .. " --key-file private.pem --key-id one")
                assert.same({ 0, "" }, { status, errors })
                local token = output:gsub("\n$", "")
                local principal, refusal = identified(token, { algorithms = { algorithm }, public_key_file = folder .. "/public.pem" })
                assert.is_nil(refusal)
                assert.equals("acme", principal.tenant.id)
            end
        end)
    end

    it("expires when it was told to", function()
        local _, output = mint("--algorithm HS256 --secret-env SECRET --expires 10m", "SECRET=" .. SECRET)
        local token = output:gsub("\n$", "")
        local issuer = { algorithms = { "HS256" }, secret = SECRET, leeway_seconds = 0 }
        assert.is_not_nil((identified(token, issuer, 590)))
        local principal, refusal = identified(token, issuer, 610)
        assert.is_nil(principal)
        assert.equals("token_expired", refusal.code)
    end)

    it("is of the type that it was told", function()
        local issuer = { algorithms = { "HS256" }, secret = SECRET, typ = { "at+jwt" } }
        local _, plain = mint("--algorithm HS256 --secret-env SECRET", "SECRET=" .. SECRET)
        local _, typed = mint("--algorithm HS256 --secret-env SECRET --typ at+jwt", "SECRET=" .. SECRET)
        assert.is_nil((identified(plain:gsub("\n$", ""), issuer)))
        assert.is_not_nil((identified(typed:gsub("\n$", ""), issuer)))
    end)

    it("may name its tenant by another claim", function()
        local _, output = mint("--algorithm HS256 --secret-env SECRET --tenant-claim org", "SECRET=" .. SECRET)
        local token = output:gsub("\n$", "")
        assert.is_nil((identified(token, { algorithms = { "HS256" }, secret = SECRET })))
        assert.is_not_nil((identified(token, { algorithms = { "HS256" }, secret = SECRET, tenant_claim = "org" })))
    end)

    it("isn't made from what doesn't fit", function()
        command.output_of("cd '" .. folder .. "' && openssl " .. KEYS.ES256 .. " 2>&1 && " ..
            "openssl ec -in private.pem -aes128 -passout pass:word -out locked.pem 2>&1")
        command.write(folder .. "/nonsense", "canary")
        for arguments, reason in pairs({
            ["--algorithm RS256"] = "RS256 needs --key-file",
            ["--algorithm RS256 --key-file missing"] = "missing: No such file or directory",
            ["--algorithm RS256 --key-file nonsense"] = "nonsense: expected a private key in PEM, without a passphrase",
            ["--algorithm ES256 --key-file locked.pem"] = "locked.pem: expected a private key in PEM, without a passphrase",
            ["--algorithm RS256 --key-file private.pem"] = "private.pem: expected an RSA key for RS256",
            ["--algorithm ES384 --key-file private.pem"] = "private.pem: expected an EC key on P-384 for ES384",
            ["--algorithm EdDSA --key-file private.pem"] = "private.pem: expected an Ed25519 key for EdDSA",
            ["--algorithm HS256"] = "HS256 needs --secret-env",
            ["--algorithm HS256 --secret-env MISSING"] = "the environment variable MISSING is not set",
            ["--algorithm HS256 --secret-env HOME --expires soon"] = "--expires takes a duration such as 200ms, 2s, 1m or 1h",
        }) do
            local status, output, errors = mint(arguments)
            assert.equals(2, status, arguments)
            assert.equals("", output)
            assert.equals("sluice: " .. reason .. "\n", errors)
        end
        local status, _, errors = mint("--algorithm none --secret-env HOME")
        assert.equals(2, status)
        assert.is_truthy(errors:find("^sluice: "))
    end)
end)
