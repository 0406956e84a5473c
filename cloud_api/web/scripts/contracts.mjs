// Writes src/contracts.ts from the .proto files: a type for every message, the values of every enum,
// the shape that fills in what protobuf's JSON leaves out, and a typed call for every RPC with a binding.
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import protobuf from "protobufjs";

const web = join(dirname(fileURLToPath(import.meta.url)), "..");
const protos = join(web, "..", "..", "proto");
const output = join(web, "src", "contracts.ts");
/** What the browser speaks of; Sparkplug and the log's messages stay on the wire. */
const sources = [
  "erp_modules/maintenance",
  "erp_modules/supply_chain",
  "erp_modules/fleet",
  "edge_agent/v1/report.proto",
  "cloud_api",
  "stream_processor/v1/alert.proto",
];

const NUMBERS = new Set(["double", "float", "int32", "uint32", "sint32", "fixed32", "sfixed32"]);
const LONGS = new Set(["int64", "uint64", "sint64", "fixed64", "sfixed64"]);
const WELL_KNOWN = new Map([
  ["Timestamp", "string"],
  ["FieldMask", "string"],
  ["Duration", "string"],
  ["Empty", "Record<string, never>"],
]);

const camel = (name) => name.replace(/_([a-z0-9])/g, (_, letter) => letter.toUpperCase());
const lower = (name) => name[0].toLowerCase() + name.slice(1);
const last = (name) => name.split(".").at(-1);

const messages = new Map();
const enums = new Map();
const services = [];

function collect(namespace) {
  for (const item of namespace.nestedArray) {
    if (item instanceof protobuf.Type) messages.set(item.name, item);
    else if (item instanceof protobuf.Enum) enums.set(item.name, item);
    else if (item instanceof protobuf.Service) services.push(item);
    if (item instanceof protobuf.Namespace) collect(item);
  }
}

for (const path of readdirSync(protos, { recursive: true, encoding: "utf8" }).sort()) {
  const posix = path.replaceAll("\\", "/");
  if (!posix.endsWith(".proto") || !sources.some((source) => posix.startsWith(source))) continue;
  const options = { keepCase: true, alternateCommentMode: true };
  collect(protobuf.parse(readFileSync(join(protos, path), "utf8"), options).root);
}

/** The type of one value of `field`, and the mark of its default: s, n, b, a message, or nothing. */
function typeOf(field) {
  const name = last(field.type);
  if (WELL_KNOWN.has(name)) return { type: WELL_KNOWN.get(name), optional: true };
  if (enums.has(name)) return { type: name, mark: JSON.stringify(Object.keys(enums.get(name).values)[0]) };
  if (messages.has(name)) return { type: name, optional: true, shape: `${name}Shape` };
  if (NUMBERS.has(field.type)) return { type: "number", mark: "0" };
  if (field.type === "bool") return { type: "boolean", mark: "false" };
  if (field.type === "string" || field.type === "bytes" || LONGS.has(field.type))
    return { type: "string", mark: LONGS.has(field.type) ? '"0"' : '""' };
  throw new Error(`${field.fullName}: no TypeScript type is known for ${field.type}`);
}

const comment = (item, indent = "") =>
  item.comment ? `${indent}/** ${item.comment.replace(/\s+/g, " ")} */\n` : "";

const repeatedShape = (inner, type) => (inner ? `[${inner}]` : type === "number" ? "[0]" : "[]");

function writeMessage(message) {
  const request = message.name.endsWith("Request");
  let text = `${comment(message)}export interface ${message.name} {\n`;
  const shape = [];
  for (const field of message.fieldsArray) {
    const { type, optional, mark, shape: inner } = typeOf(field);
    const absent =
      request || (!field.repeated && (optional || field.options?.proto3_optional || field.partOf));
    text += `${comment(field, "  ")}  ${camel(field.name)}${absent ? "?" : ""}: ${type}${field.repeated ? "[]" : ""};\n`;
    if (field.repeated) shape.push(`${camel(field.name)}: ${repeatedShape(inner, type)}`);
    else if (inner) shape.push(`${camel(field.name)}: ${inner}`);
    else if (!absent) shape.push(`${camel(field.name)}: ${mark}`);
    // Absent, or a number even where JSON needs a text for it.
    else if (!request && type === "number") shape.push(`${camel(field.name)}: null`);
  }
  text += "}\n";
  if (answered.has(message.name)) text += `const ${message.name}Shape: Shape = { ${shape.join(", ")} };\n`;
  return text;
}

function writeEnum(item) {
  const names = Object.keys(item.values).map((name) => JSON.stringify(name));
  return (
    `${comment(item)}export type ${item.name} = ${names.join(" | ")};\n` +
    `export const ${item.name}Values: readonly ${item.name}[] = [${names.join(", ")}];\n`
  );
}

const optionOf = (method, name) => method.parsedOptions?.find((entry) => name in entry)?.[name];

/** The verb, path and body of a method's `google.api.http`; undefined without one. */
function binding(method) {
  const option = optionOf(method, "(google.api.http)");
  const verb = ["get", "post", "put", "patch", "delete"].find((name) => option?.[name]);
  return (
    verb && {
      verb: verb.toUpperCase(),
      path: option[verb].replace(/_([a-z])/g, (_, l) => l.toUpperCase()),
      body: option.body ?? "",
    }
  );
}

function writeCall(method) {
  const http = binding(method);
  if (!http) return "";
  const [request, response] = [last(method.requestType), last(method.responseType)];
  const answer = WELL_KNOWN.get(response) ?? response;
  const shape = messages.has(response) ? `${response}Shape` : "{}";
  const { scope = "" } = optionOf(method, "(erp_modules.kernel.v1.policy)") ?? {};
  return (
    `${comment(method)}export const ${lower(method.name)} = /* @__PURE__ */ call<${request}, ${answer}>` +
    `("${http.verb}", "${http.path}", "${camel(http.body)}", ${shape}, "${scope}");\n`
  );
}

/** The names of messages that an answer holds: only those have gaps to be filled. */
function answers() {
  const found = new Set();
  const visit = (name) => {
    if (!messages.has(name) || found.has(name)) return;
    found.add(name);
    messages.get(name).fieldsArray.forEach((field) => visit(last(field.type)));
  };
  for (const service of services)
    for (const method of service.methodsArray) if (binding(method)) visit(last(method.responseType));
  return found;
}
const answered = answers();

/** Messages with what they hold before them, so that a shape never names a later one. */
function inOrder() {
  const done = new Set();
  const visit = (name) => {
    const message = messages.get(name);
    if (!message || done.has(name)) return;
    done.add(name);
    message.fieldsArray.forEach((field) => visit(last(field.type)));
    ordered.push(message);
  };
  const ordered = [];
  [...messages.keys()].forEach(visit);
  return ordered;
}

const text = [
  "// Derived from proto/ by scripts/contracts.mjs; not committed, not edited.\n",
  'import { call } from "./api";\nimport type { Shape } from "./shape";\n',
  ...[...enums.values()].map(writeEnum),
  ...inOrder().map(writeMessage),
  ...services.flatMap((service) => service.methodsArray.map(writeCall)),
].join("\n");
if (!existsSync(output) || readFileSync(output, "utf8") !== text) writeFileSync(output, text);
