// Reads {"schema": …, "documents": […]} and prints, a line for each document, whether the schema accepts it.
import { readFileSync } from "node:fs";
import Ajv from "ajv/dist/2020.js";

const { schema, documents } = JSON.parse(readFileSync(process.argv[2], "utf8"));
const validate = new Ajv({ strict: true, allowUnionTypes: true, strictRequired: false, validateFormats: false }).compile(schema);
for (const document of documents) {
  console.log(validate(document) ? "valid" : `invalid ${JSON.stringify(validate.errors[0])}`);
}
