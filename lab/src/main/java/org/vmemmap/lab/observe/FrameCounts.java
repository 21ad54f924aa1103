// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.observe;

/**
 * How often each frame is mapped: an open-addressed table from frame to two counts, without an
 * object for each entry. Grows; nothing is ever removed.
 */
public final class FrameCounts {
  private static final long EMPTY = -1;
  private static final int FIRST_SIZE = 1 << 10;
  private static final long GOLDEN = 0x9e37_79b9_7f4a_7c15L;

  private long[] frames;
  private long[] maps;
  private long[] writable;
  private int used;

  /** Makes an empty table. */
  public FrameCounts() {
    this.frames = emptyFrames(FIRST_SIZE);
    this.maps = new long[FIRST_SIZE];
    this.writable = new long[FIRST_SIZE];
  }

  /** Receives one frame with its counts. */
  @FunctionalInterface
  public interface Visitor {
    /** Called once for each frame. */
    void visit(long frame, long maps, long writableMaps);
  }

  /**
   * Notes {@code n} more mappings of {@code frame}, of which {@code writableMaps} allow writing.
   */
  public void add(long frame, long n, long writableMaps) {
    if (used * 2 > frames.length) {
      grow();
    }
    int slot = slot(frame);
    if (frames[slot] == EMPTY) {
      frames[slot] = frame;
      used++;
    }
    maps[slot] += n;
    writable[slot] += writableMaps;
  }

  /** How often {@code frame} is mapped; 0 when it is not. */
  public long maps(long frame) {
    return maps[slot(frame)];
  }

  /** How many different frames there are. */
  public int distinct() {
    return used;
  }

  /** Calls {@code visitor} for each frame, in no particular order. */
  public void forEach(Visitor visitor) {
    for (int slot = 0; slot < frames.length; slot++) {
      if (frames[slot] != EMPTY) {
        visitor.visit(frames[slot], maps[slot], writable[slot]);
      }
    }
  }

  private int slot(long frame) {
    int mask = frames.length - 1;
    int slot = (int) ((frame * GOLDEN) >>> (64 - Integer.bitCount(mask)));
    while (frames[slot] != EMPTY && frames[slot] != frame) {
      slot = (slot + 1) & mask;
    }
    return slot;
  }

  private void grow() {
    long[] oldFrames = frames;
    long[] oldMaps = maps;
    long[] oldWritable = writable;
    frames = emptyFrames(oldFrames.length * 2);
    maps = new long[frames.length];
    writable = new long[frames.length];
    for (int i = 0; i < oldFrames.length; i++) {
      if (oldFrames[i] != EMPTY) {
        int slot = slot(oldFrames[i]);
        frames[slot] = oldFrames[i];
        maps[slot] = oldMaps[i];
        writable[slot] = oldWritable[i];
      }
    }
  }

  private static long[] emptyFrames(int size) {
    long[] made = new long[size];
    java.util.Arrays.fill(made, EMPTY);
    return made;
  }
}
