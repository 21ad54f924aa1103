// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.machine;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * The book of frames: each frame has exactly one owner at any time.
 *
 * <p>Frames move from owner to owner by {@link #transfer}, which names the owner that they must come
 * from. So a frame cannot be taken twice, given back twice or lost without a {@link MachineFault}.
 * Runs of equal owners are stored once per {@value #BLOCK} frames until somebody splits them, so a
 * large machine costs little. Not thread-safe: callers hold the lock under which they move frames.
 */
public final class Ledger {
  private static final int BLOCK_SHIFT = 9;
  private static final int BLOCK = 1 << BLOCK_SHIFT;
  private static final int PART_SHIFT = 12;
  private static final int PART = 1 << PART_SHIFT;

  private final FrameOwner[] owners;
  private final long frames;

  /** Blocks by part of the book; a part is opened when a frame in it moves. */
  private final @Nullable Part[] parts;

  private final long[] counts;
  private @Nullable Watcher watcher;

  /** The owners in some blocks: of all frames of a block, or of each where they differ. */
  private static final class Part {
    private final byte[] uniform = new byte[PART];
    private final byte[] @Nullable [] mixed = new byte[PART][];
  }

  /** Hears of frames that get a new owner. */
  @FunctionalInterface
  interface Watcher {
    /** The {@code n} frames from {@code frame} were {@code from}'s and will be {@code to}'s. */
    void moves(long frame, long n, FrameOwner from, FrameOwner to);
  }

  /**
   * Opens the book.
   *
   * @param owners all owners by ordinal; every frame starts with the first
   * @param frames number of frames of the machine
   */
  public Ledger(FrameOwner[] owners, long frames) {
    this.owners = owners.clone();
    this.frames = frames;
    int blocks = Math.toIntExact((frames + BLOCK - 1) >>> BLOCK_SHIFT);
    this.parts = new Part[(blocks + PART - 1) >>> PART_SHIFT];
    this.counts = new long[owners.length];
    counts[0] = frames;
  }

  /** Sets who hears of each transfer before it takes place; null for nobody. */
  void watch(@Nullable Watcher newWatcher) {
    watcher = newWatcher;
  }

  /** Number of frames in the book. */
  public long frames() {
    return frames;
  }

  /** All owners of this book, by ordinal. */
  public FrameOwner[] owners() {
    return owners.clone();
  }

  /** The owner of {@code frame}. */
  public FrameOwner ownerOf(long frame) {
    return owners[ordinalOf(frame)];
  }

  /**
   * The first frame behind {@code frame} that has another owner; {@code end} when all frames before
   * it have the same one.
   */
  public long sameOwnerUntil(long frame, long end) {
    int owner = ordinalOf(frame);
    long at = frame;
    while (at < end && ordinalOf(at) == owner) {
      int block = block(at);
      at = mixed(block) == null ? ((long) block + 1) << BLOCK_SHIFT : at + 1;
    }
    return Math.min(at, end);
  }

  /** How many frames {@code owner} has. */
  public long count(FrameOwner owner) {
    return counts[owner.ordinal()];
  }

  /**
   * Moves {@code n} frames from one owner to another. Nothing has moved when it throws.
   *
   * @throws MachineFault {@code frame-owner} when a frame of the run is not {@code from}'s; {@code
   *     no-such-frame} when the run leaves the machine
   */
  public void transfer(long frame, long n, FrameOwner from, FrameOwner to) {
    requireAll(frame, n, from, to);
    if (watcher != null) {
      watcher.moves(frame, n, from, to);
    }
    assign(frame, n, to);
    counts[from.ordinal()] -= n;
    counts[to.ordinal()] += n;
  }

  private void requireAll(long frame, long n, FrameOwner from, FrameOwner to) {
    if (n < 0 || Long.compareUnsigned(frame, frames) > 0 || n > frames - frame) {
      throw new MachineFault("no-such-frame", "frame", frame, "n", n);
    }
    for (long at = frame; at < frame + n; ) {
      int block = block(at);
      if (ordinalOf(at) != from.ordinal()) {
        throw new MachineFault(
            "frame-owner", at, "is=" + ownerOf(at).name() + " from=" + from.name() + " to=" + to.name());
      }
      at = mixed(block) == null ? ((long) block + 1) << BLOCK_SHIFT : at + 1;
    }
  }

  private void assign(long frame, long n, FrameOwner to) {
    byte owner = (byte) to.ordinal();
    for (long at = frame; at < frame + n; ) {
      int block = block(at);
      int first = (int) at & (BLOCK - 1);
      int run = (int) Math.min(BLOCK - first, frame + n - at);
      if (run == BLOCK) {
        Part part = part(block);
        part.uniform[block & (PART - 1)] = owner;
        part.mixed[block & (PART - 1)] = null;
      } else {
        Arrays.fill(split(block), first, first + run, owner);
      }
      at += run;
    }
  }

  private Part part(int block) {
    Part part = parts[block >>> PART_SHIFT];
    if (part == null) {
      part = new Part();
      parts[block >>> PART_SHIFT] = part;
    }
    return part;
  }

  private byte[] split(int block) {
    byte @Nullable [] bytes = mixed(block);
    if (bytes == null) {
      Part part = part(block);
      bytes = new byte[BLOCK];
      Arrays.fill(bytes, part.uniform[block & (PART - 1)]);
      part.mixed[block & (PART - 1)] = bytes;
    }
    return bytes;
  }

  private byte @Nullable [] mixed(int block) {
    Part part = parts[block >>> PART_SHIFT];
    return part == null ? null : part.mixed[block & (PART - 1)];
  }

  private int ordinalOf(long frame) {
    int block = block(frame);
    Part part = parts[block >>> PART_SHIFT];
    if (part == null) {
      return 0;
    }
    int at = block & (PART - 1);
    byte @Nullable [] bytes = part.mixed[at];
    return bytes == null ? part.uniform[at] : bytes[(int) frame & (BLOCK - 1)];
  }

  private int block(long frame) {
    if (Long.compareUnsigned(frame, frames) >= 0) {
      throw new MachineFault("no-such-frame", "frame", frame);
    }
    return (int) (frame >>> BLOCK_SHIFT);
  }
}
