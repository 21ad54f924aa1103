// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.machine;

import java.util.ArrayList;
import java.util.List;

/** Writes down each point of a machine, one a line: {@code w8@80000}, {@code walk@3000}. */
final class Hearing implements YieldPoints.Listener {
  final List<String> heard = new ArrayList<>();

  @Override
  public void reached(String what, long where) {
    heard.add(what + "@" + Long.toHexString(where));
  }

  @Override
  public void access(long paddr, long bytes, boolean write) {
    reached((write ? "w" : "r") + bytes, paddr);
  }

  @Override
  public void translated(long frame) {
    reached("translated", frame);
  }
}
