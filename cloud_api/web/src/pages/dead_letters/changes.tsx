import type { PayloadChange } from "../../contracts";

/** What is different, before and after. */
export function Changes({ of }: { of: readonly PayloadChange[] }) {
  return (
    <div class="table-box">
      <table class="plain changes">
        <thead>
          <tr>
            <th scope="col">What</th>
            <th scope="col">Before</th>
            <th scope="col">After</th>
          </tr>
        </thead>
        <tbody>
          {of.map((c) => (
            <tr key={c.what}>
              <th scope="row">{c.what}</th>
              <td class="breaks">{c.before ? <del>{c.before}</del> : <span class="quiet">–</span>}</td>
              <td class="breaks">{c.after ? <ins>{c.after}</ins> : <span class="quiet">–</span>}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
