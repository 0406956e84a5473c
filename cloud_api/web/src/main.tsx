import { render } from "preact";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/shell.css";
import "./styles/controls.css";
import "./styles/values.css";
import "./styles/lists.css";
import "./styles/pages.css";
import "./styles/fleet.css";
import "./styles/dead_letters.css";
import "./styles/flow.css";
import { App } from "./app";
import { follow } from "./store";

follow();
render(<App />, document.getElementById("app")!);
