// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.machine;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;

/**
 * Physical memory: bytes at physical addresses, little-endian, in chunks that are made when they are
 * first written.
 *
 * <pre>
 *   paddr  63                    20 19                         3 2    0
 *         +------------------------+----------------------------+------+
 *         |      chunk (1 MiB)     |     64-bit word in chunk   | byte |
 *         +------------------------+----------------------------+------+
 * </pre>
 *
 * A chunk that was never written reads as zeros, as the memory of a fresh virtual machine does.
 * Every access is to a naturally aligned unit, so no access crosses a word. All methods may be
 * called from any thread; the plain ones order nothing, as plain loads and stores order nothing.
 */
public final class PhysicalMemory {
  /** Bytes that are kept together before a write, for {@link #rewind}. */
  public static final long UNDO_PAGE = UndoLog.PAGE;

  private static final int CHUNK_SHIFT = 20;
  private static final int WORDS_PER_CHUNK = 1 << (CHUNK_SHIFT - 3);
  private static final long CHUNK_MASK = (1L << CHUNK_SHIFT) - 1;
  private static final int DIRECTORY_SHIFT = 12;
  private static final VarHandle WORD = MethodHandles.arrayElementVarHandle(long[].class);
  private static final VarHandle CHUNK = MethodHandles.arrayElementVarHandle(long[][].class);
  private static final VarHandle DIRECTORY = MethodHandles.arrayElementVarHandle(long[][][].class);

  private final long size;
  private final long[] @Nullable [] @Nullable [] directories;
  private final AtomicInteger chunksMade = new AtomicInteger();
  private @Nullable WrittenWords written;
  private @Nullable StoreBuffers buffers;
  private final List<UndoLog> marks = new ArrayList<>();
  private @Nullable UndoLog undo;
  private long garbage;

  /** The undo page that was written last, which has a copy; -1 for none. */
  private long lastKept = -1;

  /**
   * Makes memory whose addresses are 0 to {@code size} - 1.
   *
   * @param size in bytes, a multiple of 1 MiB, at most 2^52
   */
  public PhysicalMemory(long size) {
    if (size <= 0 || (size & CHUNK_MASK) != 0 || size > 1L << 52) {
      throw new IllegalArgumentException("size=0x" + Long.toHexString(size));
    }
    this.size = size;
    this.directories = new long[Math.toIntExact(((size >>> CHUNK_SHIFT) >>> DIRECTORY_SHIFT) + 1)][][];
  }

  /** The size in bytes: the first address that does not exist. */
  public long size() {
    return size;
  }

  /** What all words hold that nobody wrote yet: 0 at first. To be called before any is written. */
  void powerOnWith(long word) {
    garbage = word;
  }

  /** How many 1 MiB chunks have been written to, for reports on the cost of a run. */
  public int chunksMade() {
    return chunksMade.get();
  }

  /** Starts, afresh, or ends the check for reads of words that were never written. */
  void trackWrites(boolean on) {
    written = on ? new WrittenWords() : null;
  }

  /** Lets stores go through {@code newBuffers} from now on; null for straight to memory. */
  void buffer(@Nullable StoreBuffers newBuffers) {
    buffers = newBuffers;
  }

  /** Makes a store that was in a buffer visible. */
  void commit(long paddr, long value) {
    beforeWrite(paddr);
    WORD.setRelease(chunk(paddr), word(paddr), value);
  }

  /**
   * Remembers the bytes as they are now, for {@link #rewind}, besides earlier marks. From now on the
   * first write to each {@value #UNDO_PAGE} bytes keeps a copy, so a mark costs what is written
   * after it. As long as there is a mark, one thread at a time may write.
   *
   * @return the number of the mark, from 1
   */
  public int mark() {
    undo = new UndoLog();
    lastKept = -1;
    marks.addLast(undo);
    return marks.size();
  }

  /**
   * Brings back the bytes of {@code mark}, which stays; later marks are forgotten.
   *
   * @throws IllegalStateException when there is no such mark
   */
  public void rewind(int mark) {
    if (mark < 1 || mark > marks.size()) {
      throw new IllegalStateException("mark=" + mark + " of " + marks.size());
    }
    while (marks.size() > mark) {
      marks.removeLast().rewind(this::putBack);
    }
    undo = marks.getLast();
    lastKept = -1;
    undo.rewind(this::putBack);
  }

  private void putBack(long paddr, long[] words) {
    System.arraycopy(words, 0, chunk(paddr), word(paddr), words.length);
  }

  /** True when something was written to the undo page of {@code paddr} since the last mark. */
  public boolean changedSinceMark(long paddr) {
    return undo == null || undo.holds(paddr);
  }

  /** To be called before a write to a word. */
  private void beforeWrite(long paddr) {
    long page = paddr & -UNDO_PAGE;
    if (undo != null && page != lastKept) {
      beforeWrite(page, Long.BYTES);
      lastKept = page;
    }
  }

  /** To be called before each write of {@code bytes} bytes. */
  private void beforeWrite(long paddr, long bytes) {
    UndoLog log = undo;
    if (log != null) {
      for (long page = paddr & -UNDO_PAGE; page < paddr + bytes; page += UNDO_PAGE) {
        if (!log.holds(page)) {
          log.keep(page, chunk(page), word(page));
        }
      }
    }
  }

  /** Reads the 64-bit word at {@code paddr}, which is a multiple of 8. */
  public long getLong(long paddr) {
    int word = word(paddr);
    long @Nullable [] chunk = chunkOrNull(paddr);
    if (written != null) {
      written.read(paddr);
    }
    if (buffers != null) {
      Long own = buffers.load(paddr);
      if (own != null) {
        return own;
      }
    }
    return chunk == null ? garbage : chunk[word];
  }

  /** Writes the 64-bit word at {@code paddr}, which is a multiple of 8. */
  public void setLong(long paddr, long value) {
    long[] chunk = chunk(paddr);
    int word = word(paddr);
    if (buffers != null) {
      buffers.store(paddr, value);
    } else {
      beforeWrite(paddr);
      chunk[word] = value;
    }
    if (written != null) {
      written.written(paddr, Long.BYTES);
    }
  }

  /**
   * The words of a chunk, for loops over many: plain loads, and plain stores into the undo page of
   * {@code paddr} only. Valid until the next mark.
   *
   * @param write whether there will be stores
   * @return null when each access must be seen, or when nothing was ever written there
   */
  public long @Nullable [] words(long paddr, boolean write) {
    if (written != null || buffers != null) {
      return null;
    }
    if (write) {
      beforeWrite(paddr);
    }
    return chunkOrNull(paddr);
  }

  /** Where the word at {@code paddr}, a multiple of 8, is among {@link #words}. */
  public static int wordAt(long paddr) {
    return word(paddr);
  }

  /** Reads with acquire order. */
  public long getLongAcquire(long paddr) {
    if (buffers != null) {
      return getLong(paddr);
    }
    int word = word(paddr);
    long @Nullable [] chunk = chunkOrNull(paddr);
    if (written != null) {
      written.read(paddr);
    }
    return chunk == null ? garbage : (long) WORD.getAcquire(chunk, word);
  }

  /**
   * Writes so that who reads the word with acquire order sees what was written before. With store
   * buffers it is a plain store, as an entry of a page table is on a CPU: barriers order it.
   */
  public void setLongRelease(long paddr, long value) {
    if (buffers != null) {
      setLong(paddr, value);
      return;
    }
    beforeWrite(paddr);
    WORD.setRelease(chunk(paddr), word(paddr), value);
    if (written != null) {
      written.written(paddr, Long.BYTES);
    }
  }

  /**
   * Compares the word at {@code paddr} with {@code expected} and, when equal, replaces it.
   *
   * @return the word that was there, which is {@code expected} when the exchange took place
   */
  public long compareAndExchange(long paddr, long expected, long value) {
    if (written != null) {
      written.read(paddr);
    }
    if (buffers != null) {
      buffers.drain();
    }
    beforeWrite(paddr);
    return (long) WORD.compareAndExchange(chunk(paddr), word(paddr), expected, value);
  }

  /** Reads the 32-bit word at {@code paddr}, which is a multiple of 4. */
  public int getInt(long paddr) {
    int bit = bitOf(paddr, 4);
    return (int) (getLong(paddr & ~7L) >>> bit);
  }

  /** Writes the 32-bit word at {@code paddr}, which is a multiple of 4; the neighbour stays. */
  public void setInt(long paddr, int value) {
    int bit = bitOf(paddr, 4);
    merge(paddr & ~7L, 0xffff_ffffL << bit, (value & 0xffff_ffffL) << bit);
  }

  /** Reads the byte at {@code paddr}. */
  public byte getByte(long paddr) {
    return (byte) (getLong(paddr & ~7L) >>> bitOf(paddr, 1));
  }

  /** Writes the byte at {@code paddr}; the neighbours stay. */
  public void setByte(long paddr, byte value) {
    int bit = bitOf(paddr, 1);
    merge(paddr & ~7L, 0xffL << bit, (value & 0xffL) << bit);
  }

  /**
   * Fills {@code bytes} bytes with {@code value}. Address and length are multiples of 8. Filling
   * memory that was never written with what it holds makes no chunk, and changes nothing since a
   * mark.
   */
  public void fill(long paddr, long bytes, byte value) {
    long pattern = (value & 0xffL) * 0x0101_0101_0101_0101L;
    long end = paddr + bytes;
    requireWords(paddr, bytes);
    if (written != null) {
      written.written(paddr, bytes);
    }
    if (buffers != null) {
      for (long at = paddr; at < end; at += Long.BYTES) {
        buffers.store(at, pattern);
      }
      return;
    }
    while (paddr < end) {
      long stop = Math.min(end, (paddr | CHUNK_MASK) + 1);
      if (pattern != garbage || chunkOrNull(paddr) != null) {
        beforeWrite(paddr, stop - paddr);
        int first = word(paddr);
        Arrays.fill(chunk(paddr), first, first + (int) ((stop - paddr) >>> 3), pattern);
      }
      paddr = stop;
    }
  }

  /** Fills {@code bytes} bytes with what memory holds that nobody wrote yet. */
  void forget(long paddr, long bytes) {
    for (long at = paddr; at < paddr + bytes; ) {
      long stop = Math.min(paddr + bytes, (at | CHUNK_MASK) + 1);
      long @Nullable [] chunk = chunkOrNull(at);
      if (chunk != null) {
        beforeWrite(at, stop - at);
        Arrays.fill(chunk, word(at), word(at) + (int) ((stop - at) >>> 3), garbage);
      }
      at = stop;
    }
  }

  /** Copies {@code bytes} bytes between ranges that do not overlap; all are multiples of 8. */
  public void copy(long to, long from, long bytes) {
    requireWords(to | from, bytes);
    if (written != null) {
      written.read(from, bytes);
      written.written(to, bytes);
    }
    if (buffers != null) {
      for (long at = 0; at < bytes; at += Long.BYTES) {
        setLong(to + at, getLong(from + at));
      }
      return;
    }
    beforeWrite(to, bytes);
    for (long done = 0; done < bytes; ) {
      long run = Math.min(bytes - done, Math.min(toChunkEnd(to + done), toChunkEnd(from + done)));
      long @Nullable [] source = chunkOrNull(from + done);
      if (source == null) {
        forget(to + done, run);
      } else {
        System.arraycopy(
            source, word(from + done), chunk(to + done), word(to + done), (int) (run >>> 3));
      }
      done += run;
    }
  }

  /**
   * Writes {@code words} at {@code paddr}, {@code count} times in a row, adding {@code step[i]} to
   * word i after each copy: an array of structs that differ by a constant step.
   *
   * @param words the first copy; changed by the call, it ends as the copy that would follow
   */
  public void setRecords(long paddr, int count, long[] words, long[] step) {
    long bytes = 8L * words.length;
    if (written != null) {
      written.written(paddr, count * bytes);
    }
    beforeWrite(paddr, count * bytes);
    while (count > 0) {
      int whole = (int) Math.min(count, toChunkEnd(paddr) / bytes);
      if (whole > 0 && buffers == null) {
        fillRecords(chunk(paddr), word(paddr), whole, words, step);
      } else {
        whole = 1;
        setRecordAcrossChunks(paddr, words, step);
      }
      paddr += whole * bytes;
      count -= whole;
    }
  }

  private static void fillRecords(long[] chunk, int at, int count, long[] words, long[] step) {
    if (isZero(step)) {
      repeat(chunk, at, count, words);
      return;
    }
    int last = at + count * words.length;
    for (; at < last; at += words.length) {
      for (int i = 0; i < words.length; i++) {
        long value = words[i];
        chunk[at + i] = value;
        words[i] = value + step[i];
      }
    }
  }

  private static boolean isZero(long[] step) {
    long any = 0;
    for (long each : step) {
      any |= each;
    }
    return any == 0;
  }

  /** Copies what is there already, twice as much each time. */
  private static void repeat(long[] chunk, int at, int count, long[] words) {
    int length = count * words.length;
    System.arraycopy(words, 0, chunk, at, words.length);
    for (int done = words.length; done < length; done *= 2) {
      System.arraycopy(chunk, at, chunk, at + done, Math.min(done, length - done));
    }
  }

  private void setRecordAcrossChunks(long paddr, long[] words, long[] step) {
    for (int i = 0; i < words.length; i++) {
      setLong(paddr + 8L * i, words[i]);
      words[i] += step[i];
    }
  }

  private static long toChunkEnd(long paddr) {
    return CHUNK_MASK + 1 - (paddr & CHUNK_MASK);
  }

  private static int word(long paddr) {
    if ((paddr & 7) != 0) {
      throw new MachineFault("misaligned-access", "paddr", paddr);
    }
    return (int) (paddr & CHUNK_MASK) >>> 3;
  }

  private static void requireWords(long paddr, long bytes) {
    if (((paddr | bytes) & 7) != 0 || bytes < 0) {
      throw new MachineFault("misaligned-access", "paddr", paddr, "bytes", bytes);
    }
  }

  private static int bitOf(long paddr, int unit) {
    if ((paddr & (unit - 1)) != 0) {
      throw new MachineFault("misaligned-access", "paddr", paddr);
    }
    return (int) (paddr & 7) << 3;
  }

  private void merge(long paddr, long mask, long bits) {
    if (buffers != null) {
      setLong(paddr, (getLong(paddr) & ~mask) | bits);
      return;
    }
    beforeWrite(paddr);
    long[] chunk = chunk(paddr);
    int word = word(paddr);
    long old;
    do {
      old = (long) WORD.getVolatile(chunk, word);
    } while (!WORD.compareAndSet(chunk, word, old, (old & ~mask) | bits));
    if (written != null) {
      written.written(paddr, Long.BYTES);
    }
  }

  private long @Nullable [] chunkOrNull(long paddr) {
    long index = index(paddr);
    long @Nullable [] @Nullable [] directory = directories[(int) (index >>> DIRECTORY_SHIFT)];
    return directory == null ? null : directory[(int) index & ((1 << DIRECTORY_SHIFT) - 1)];
  }

  private long[] chunk(long paddr) {
    long @Nullable [] chunk = chunkOrNull(paddr);
    return chunk != null ? chunk : makeChunk(index(paddr));
  }

  private long index(long paddr) {
    if (Long.compareUnsigned(paddr, size) >= 0) {
      throw new MachineFault("no-such-frame", "paddr", paddr);
    }
    return paddr >>> CHUNK_SHIFT;
  }

  private long[] makeChunk(long index) {
    int top = (int) (index >>> DIRECTORY_SHIFT);
    long @Nullable [] @Nullable [] directory = directories[top];
    if (directory == null) {
      long[][] made = new long[1 << DIRECTORY_SHIFT][];
      long @Nullable [] @Nullable [] other = (long[][]) DIRECTORY.compareAndExchange(directories, top, null, made);
      directory = other == null ? made : other;
    }
    long[] made = new long[WORDS_PER_CHUNK];
    if (garbage != 0) {
      Arrays.fill(made, garbage);
    }
    int slot = (int) index & ((1 << DIRECTORY_SHIFT) - 1);
    long @Nullable [] other = (long[]) CHUNK.compareAndExchange(directory, slot, null, made);
    if (other == null) {
      chunksMade.incrementAndGet();
      return made;
    }
    return other;
  }
}
