// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.cli;

import java.io.PrintWriter;
import java.util.function.Consumer;

/**
 * Tells the user what a long command is at.
 *
 * @param out where to
 */
record Progress(PrintWriter out) implements Consumer<String> {
  @Override
  public void accept(String text) {
    out.println("# " + text);
    out.flush();
  }
}
