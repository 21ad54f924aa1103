// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.cli;

import org.jspecify.annotations.Nullable;
import org.vmemmap.lab.boot.BadInput;
import org.vmemmap.lab.boot.Numbers;
import picocli.CommandLine.Option;

/** The option that spreads work over machines. */
final class ShardOption {
  private static final int MOST = 1_000_000;

  @Option(names = "--shard", paramLabel = "I/N", description = "Do the I-th of N parts only.")
  @Nullable String shard;

  /**
   * A part of the work.
   *
   * @param index its number, 1 to {@code count}
   * @param count how many parts there are
   */
  record Part(int index, int count) {}

  /** The part that is asked for; all when it was left out. */
  Part part() {
    String text = shard == null ? "1/1" : shard;
    int slash = text.indexOf('/');
    if (slash < 0) {
      throw new BadInput("--shard " + text + ": wanted I/N, as in 2/8");
    }
    int n = Numbers.parse("--shard " + text + ": N", text.substring(slash + 1), 1, MOST);
    return new Part(Numbers.parse("--shard " + text + ": I", text.substring(0, slash), 1, n), n);
  }
}
