import { render } from "preact";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/shell.css";
import "./styles/components.css";
import "./styles/pages.css";
import { App } from "./app";
import { follow } from "./store";

follow();
render(<App />, document.getElementById("app")!);
