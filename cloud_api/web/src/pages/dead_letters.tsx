export { DeadLetterPage } from "./dead_letters/letter";
export { DeadLettersPage } from "./dead_letters/list";
