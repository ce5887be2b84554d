-- Runs the sluice command as a user does: bin/sluice, in a folder laid out like a checkout.

local command = {}

local code = assert(package.searchpath("sluice.cli.start", package.path)):gsub("/sluice/cli/start%.lua$", "")

local function output_of(line)
    local output = assert(io.popen(line))
    local text = output:read("*a")
    output:close()
    return text
end

--- A new folder, with `bin/sluice` and the compiled code in it.
function command.folder()
    local folder = output_of("mktemp -d"):gsub("\n", "")
    local here = output_of("realpath '" .. code .. "'"):gsub("\n", "")
    os.execute(("mkdir '%s/bin' '%s/dist' && cp bin/sluice '%s/bin/' && ln -s '%s' '%s/dist/lua'")
        :format(folder, folder, folder, here, folder))
    return folder
end

function command.remove(folder) os.execute("rm -rf '" .. folder .. "'") end

function command.write(path, text)
    local file = assert(io.open(path, "wb"))
    file:write(text)
    file:close()
end

--- Runs `sluice` with arguments in shell syntax; `variables` are put before it. Returns status, output and errors.
function command.run(folder, arguments, variables)
    local line = ("cd '%s' && env -u LUA_PATH %s ./bin/sluice %s >out 2>err; printf %%s $?"):format(folder, variables or "", arguments)
    local status = tonumber(output_of(line))
    return status, output_of("cat '" .. folder .. "/out'"), output_of("cat '" .. folder .. "/err'")
end

command.output_of = output_of

return command
