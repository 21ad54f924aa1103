// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.sparse;

import java.util.ArrayList;
import java.util.List;
import org.vmemmap.types.Kernel;

/**
 * A blocking notifier chain: who wants to hear of a change, and may refuse it.
 *
 * @param <T> what the callbacks are told
 */
@Kernel(file = "include/linux/notifier.h", symbol = "struct blocking_notifier_head")
public final class NotifierChain<T> {
  /** Don't care. */
  public static final int NOTIFY_DONE = 0;

  /** Suits me. */
  public static final int NOTIFY_OK = 1;

  /** Do not call further. */
  public static final int NOTIFY_STOP_MASK = 0x8000;

  /** Refused. */
  public static final int NOTIFY_BAD = NOTIFY_STOP_MASK | 2;

  /**
   * {@code struct notifier_block}.
   *
   * @param <T> what it is told
   */
  @FunctionalInterface
  public interface Block<T> {
    /** Hears of {@code action}; returns one of the constants, or {@link #notifierFromErrno}. */
    int call(int action, T arg);
  }

  private final List<Block<T>> blocks = new ArrayList<>();

  /** Appends a callback: all have the same priority here. */
  @Kernel(file = "kernel/notifier.c", symbol = "blocking_notifier_chain_register")
  public void register(Block<T> block) {
    blocks.add(block);
  }

  /** Takes a callback off. */
  @Kernel(file = "kernel/notifier.c", symbol = "blocking_notifier_chain_unregister")
  public void unregister(Block<T> block) {
    blocks.remove(block);
  }

  /** Calls all in turn until one stops the chain; returns what the last one said. */
  @Kernel(file = "kernel/notifier.c", symbol = "blocking_notifier_call_chain")
  public int call(int action, T arg) {
    int ret = NOTIFY_DONE;
    for (Block<T> block : List.copyOf(blocks)) {
      ret = block.call(action, arg);
      if ((ret & NOTIFY_STOP_MASK) != 0) {
        break;
      }
    }
    return ret;
  }

  /** The answer that stops the chain with an error, a negative error code. */
  @Kernel(file = "include/linux/notifier.h", symbol = "notifier_from_errno")
  public static int notifierFromErrno(int err) {
    return err == 0 ? NOTIFY_OK : NOTIFY_STOP_MASK | (NOTIFY_OK - err);
  }

  /** The error code in an answer; NOTIFY_BAD is -EPERM. */
  @Kernel(file = "include/linux/notifier.h", symbol = "notifier_to_errno")
  public static int notifierToErrno(int ret) {
    int code = ret & ~NOTIFY_STOP_MASK;
    return code > NOTIFY_OK ? NOTIFY_OK - code : 0;
  }
}
