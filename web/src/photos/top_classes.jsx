import { percent } from '../text.js';

/// The classes that the network finds most probable, as bars.
export function TopClasses({ top }) {
  return (
    <table class="top">
      <caption>Most probable classes</caption>
      <tbody>
        {top.map((one) => (
          <tr key={one.index ?? one.class}>
            <th scope="row">{one.class}</th>
            <td class="bar">
              <i style={{ width: `${100 * one.probability}%` }} />
            </td>
            <td class="value">{percent(one.probability)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
