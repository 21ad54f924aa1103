// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.dax;

import java.nio.charset.StandardCharsets;
import org.vmemmap.types.Kernel;

/**
 * {@code struct nd_pfn_sb}: the info block at 4 KiB of a namespace, which says where the data
 * starts. Little-endian; offsets in bytes.
 *
 * <pre>
 *      0  signature[16]          "NVDIMM_DAX_INFO\0"
 *     16  uuid[16]
 *     32  parent_uuid[16]
 *     48  flags          52  version_major    54  version_minor
 *     56  dataoff                    from the start of the namespace
 *     64  npfns
 *     72  mode           76  start_pad
 *     80  end_trunc      84  align
 *     88  page_size      92  page_struct_size     94  padding[3994]
 *   4088  checksum
 * </pre>
 */
@Kernel(file = "drivers/nvdimm/pfn.h", symbol = "struct nd_pfn_sb")
public final class NdPfnSb {
  /** {@code DAX_SIG}. */
  @Kernel(file = "drivers/nvdimm/pfn.h", symbol = "DAX_SIG")
  public static final String DAX_SIG = "NVDIMM_DAX_INFO\0";

  /** {@code PFN_SIG}. */
  @Kernel(file = "drivers/nvdimm/pfn.h", symbol = "PFN_SIG")
  public static final String PFN_SIG = "NVDIMM_PFN_INFO\0";

  private static final int WORDS = 512;
  private static final int SIGNATURE = 0;
  private static final int UUID = 2;
  private static final int PARENT_UUID = 4;
  private static final int FLAGS_VERSION = 6;
  private static final int DATAOFF = 7;
  private static final int NPFNS = 8;
  private static final int MODE_START_PAD = 9;
  private static final int END_TRUNC_ALIGN = 10;
  private static final int PAGE_SIZES = 11;
  private static final int CHECKSUM = 511;

  private final long[] words = new long[WORDS];

  /** The block as 64-bit words; changes are seen. */
  long[] words() {
    return words;
  }

  /** The 16 bytes of a signature as two words. */
  private static long[] bytes16(String text) {
    byte[] bytes = text.getBytes(StandardCharsets.US_ASCII);
    long[] out = new long[2];
    for (int i = 0; i < bytes.length; i++) {
      out[i / 8] |= (bytes[i] & 0xffL) << (8 * (i % 8));
    }
    return out;
  }

  boolean hasSignature(String sig) {
    long[] want = bytes16(sig);
    return words[SIGNATURE] == want[0] && words[SIGNATURE + 1] == want[1];
  }

  void setSignature(String sig) {
    System.arraycopy(bytes16(sig), 0, words, SIGNATURE, 2);
  }

  NdUuid uuid() {
    return new NdUuid(words[UUID], words[UUID + 1]);
  }

  void setUuid(NdUuid uuid) {
    words[UUID] = uuid.low();
    words[UUID + 1] = uuid.high();
  }

  NdUuid parentUuid() {
    return new NdUuid(words[PARENT_UUID], words[PARENT_UUID + 1]);
  }

  void setParentUuid(NdUuid uuid) {
    words[PARENT_UUID] = uuid.low();
    words[PARENT_UUID + 1] = uuid.high();
  }

  int versionMinor() {
    return (int) (words[FLAGS_VERSION] >>> 48);
  }

  void setVersion(int major, int minor) {
    words[FLAGS_VERSION] = ((long) minor << 48) | ((long) major << 32);
  }

  /** Bytes from the start of the namespace to the data. */
  public long dataoff() {
    return words[DATAOFF];
  }

  void setDataoff(long bytes) {
    words[DATAOFF] = bytes;
  }

  /** Pages of data when the block was written. */
  public long npfns() {
    return words[NPFNS];
  }

  void setNpfns(long pages) {
    words[NPFNS] = pages;
  }

  /** Number of the mode: 1 memmap in RAM, 2 in the namespace. */
  public int mode() {
    return (int) words[MODE_START_PAD];
  }

  void setMode(int mode) {
    setLow(MODE_START_PAD, mode);
  }

  long startPad() {
    return words[MODE_START_PAD] >>> 32;
  }

  void setStartPad(long bytes) {
    setHigh(MODE_START_PAD, bytes);
  }

  /** Bytes cut off the end. */
  public long endTrunc() {
    return words[END_TRUNC_ALIGN] & 0xffff_ffffL;
  }

  void setEndTrunc(long bytes) {
    setLow(END_TRUNC_ALIGN, bytes);
  }

  /** Page size of the device in bytes. */
  public long align() {
    return words[END_TRUNC_ALIGN] >>> 32;
  }

  void setAlign(long bytes) {
    setHigh(END_TRUNC_ALIGN, bytes);
  }

  long pageSize() {
    return words[PAGE_SIZES] & 0xffff_ffffL;
  }

  void setPageSize(long bytes) {
    setLow(PAGE_SIZES, bytes);
  }

  int pageStructSize() {
    return (int) (words[PAGE_SIZES] >>> 32) & 0xffff;
  }

  void setPageStructSize(int bytes) {
    words[PAGE_SIZES] = (words[PAGE_SIZES] & ~(0xffffL << 32)) | ((long) bytes << 32);
  }

  long checksum() {
    return words[CHECKSUM];
  }

  void setChecksum(long value) {
    words[CHECKSUM] = value;
  }

  private void setLow(int word, long value) {
    words[word] = (words[word] & ~0xffff_ffffL) | (value & 0xffff_ffffL);
  }

  private void setHigh(int word, long value) {
    words[word] = (words[word] & 0xffff_ffffL) | (value << 32);
  }

  /** {@code nd_sb_checksum()}: of the block with a checksum of 0. */
  @Kernel(file = "drivers/nvdimm/claim.c", symbol = "nd_sb_checksum")
  long sbChecksum() {
    long saved = words[CHECKSUM];
    words[CHECKSUM] = 0;
    long sum = fletcher64(words);
    words[CHECKSUM] = saved;
    return sum;
  }

  /** {@code nd_fletcher64()} over 32-bit little-endian words. */
  @Kernel(file = "drivers/nvdimm/core.c", symbol = "nd_fletcher64")
  static long fletcher64(long[] words) {
    int lo32 = 0;
    long hi32 = 0;
    for (long word : words) {
      lo32 += (int) word;
      hi32 += lo32 & 0xffff_ffffL;
      lo32 += (int) (word >>> 32);
      hi32 += lo32 & 0xffff_ffffL;
    }
    return (hi32 << 32) | (lo32 & 0xffff_ffffL);
  }
}
