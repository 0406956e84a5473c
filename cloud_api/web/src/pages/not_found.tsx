import { Empty } from "../components/states";

export function NotFoundPage() {
  return (
    <Empty title="There is nothing at this address.">
      <a href="/">Show the plant</a>
    </Empty>
  );
}
