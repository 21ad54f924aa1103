// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.series;

import java.util.function.Function;
import org.vmemmap.types.KernelBug;
import org.vmemmap.types.KernelPanic;

/**
 * Something that can be seen of a kernel, by running a small machine with it.
 *
 * @param name its name, as the catalogue's entries cite it
 * @param unit what the value is
 * @param scenario what is done
 * @param measure does it and looks
 */
public record Observable(
    String name, String unit, String scenario, Function<Level, String> measure) {
  /**
   * The value at a level, measured now. Where the kernel stops instead, what it says: {@code panic:
   * ...} or {@code BUG: ...}.
   */
  public String at(Level level) {
    try {
      return measure.apply(level);
    } catch (KernelPanic e) {
      return "panic: " + e.getMessage();
    } catch (KernelBug e) {
      return "BUG: " + e.getMessage();
    }
  }
}
