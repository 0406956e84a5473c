// An independent edge node: one machine, values of many types by alias; bears again when asked to.
"use strict";

const { newClient } = require("sparkplug-client");

const [serverUrl, username, password, groupId, edgeNode] = process.argv.slice(2);
const client = newClient({
  serverUrl, username, password, groupId, edgeNode,
  clientId: `${groupId}-${edgeNode}`, version: "spBv1.0", publishDeath: true,
});
let births = 0;

const metric = (name, alias, type, value, more = {}) =>
  ({ name, alias, type, value, timestamp: Date.now(), ...more });
const data = (alias, type, value) => ({ alias, type, value, timestamp: Date.now() });

client.on("birth", () => {
  births += 1;
  client.publishNodeBirth({
    timestamp: Date.now(),
    metrics: [
      { name: "Node Control/Rebirth", type: "Boolean", value: false, timestamp: Date.now() },
      metric("Births", 1, "Int32", births),
    ],
  });
  client.publishDeviceBirth("P-9", {
    timestamp: Date.now(),
    metrics: [
      metric("Pressure", 10, "Double", 4.25, {
        properties: { engUnit: { type: "String", value: "bar" } },
      }),
      metric("Temperature", 11, "Float", 21.5),
      metric("Offset", 12, "Int16", -7),
      metric("Count", 13, "UInt32", 4000000000),
      metric("Total", 14, "Int64", -5),
      metric("Running", 15, "Boolean", true),
      metric("Recipe", 16, "String", "plain"),
      metric("Shift", 17, "DataSet", {
        numOfColumns: 2, columns: ["Hour", "Good"], types: ["UInt32", "Boolean"],
        rows: [[6, true], [7, false]],
      }),
      metric("Pump", 18, "Template", {
        isDefinition: false, templateRef: "PumpType", version: "1",
        metrics: [metric("Speed", undefined, "Double", 1480.5)],
        parameters: [{ name: "Limit", type: "Double", value: 4.5 }],
      }),
    ],
  });
  client.publishDeviceData("P-9", {
    timestamp: Date.now(),
    metrics: [
      data(10, "Double", 4.5), data(11, "Float", 22.5), data(12, "Int16", -300),
      data(13, "UInt32", 4000000001), data(14, "Int64", -6), data(16, "String", "sweet"),
    ],
  });
});
client.on("ncmd", (payload) => {
  if (payload.metrics.some((m) => m.name === "Node Control/Rebirth" && m.value === true)) {
    client.emit("birth");
  }
});
process.stdin.on("end", () => client.stop()).resume();
