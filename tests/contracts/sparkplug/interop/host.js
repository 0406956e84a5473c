// An independent host: prints what it makes of births and data, one JSON line a message, and passes
// on commands that it is given as lines of JSON.
"use strict";

const readline = require("node:readline");
const mqtt = require("mqtt");
const { decodePayload, encodePayload } = require("sparkplug-payload").get("spBv1.0");
const wire = require("sparkplug-payload/lib/sparkplugPayloadProto").org.eclipse.tahu.protobuf.Payload;

const [url, username, password, site] = process.argv.slice(2);
const client = mqtt.connect(url, { username, password, clean: true });
const births = new Map();

const plain = (_, value) =>
  value && typeof value === "object" && typeof value.toNumber === "function"
    ? value.toNumber()
    : value;
const print = (value) => process.stdout.write(JSON.stringify(value, plain) + "\n");

// Float arrays are newer than the client: read here, from the specification.
const floats = (bytes) =>
  Array.from({ length: bytes.length / 4 }, (_, i) => Buffer.from(bytes).readFloatLE(4 * i));

client.on("connect", () =>
  client.subscribe(`spBv1.0/${site}/#`, { qos: 1 }, () => print({ ready: true })),
);
client.on("message", (topic, payload) => {
  const [, , kind, node, device = ""] = topic.split("/");
  const message = decodePayload(payload);
  if (kind.endsWith("BIRTH")) {
    const metrics = wire.decode(payload).metrics.map((raw, i) => ({
      name: message.metrics[i].name,
      datatype: raw.datatype,
      value: message.metrics[i].value,
      properties: message.metrics[i].properties,
    }));
    const aliases = new Map();
    for (const m of message.metrics) if (m.alias !== undefined) aliases.set(Number(m.alias), m.name);
    births.set(device, aliases);
    print({ kind, node, device, seq: message.seq, metrics });
  } else if (kind.endsWith("DATA")) {
    const values = {};
    for (const raw of wire.decode(payload).metrics) {
      const name = raw.name || births.get(device)?.get(Number(raw.alias));
      if (name === undefined) return;
      values[name] = raw.value === "bytesValue" ? floats(raw.bytesValue) : raw[raw.value];
    }
    print({ kind, node, device, seq: message.seq, values });
  } else {
    print({ kind, node, device, metrics: message.metrics });
  }
});

readline.createInterface({ input: process.stdin }).on("line", (line) => {
  const { topic, metrics } = JSON.parse(line);
  client.publish(topic, Buffer.from(encodePayload({ timestamp: Date.now(), metrics })));
});
