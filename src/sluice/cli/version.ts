/** The version of Sluice, as package.json has it. */
const VERSION = "0.1.0";

export { VERSION };
