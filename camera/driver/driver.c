/* The driver of the simulated camera. It owns a ring of buffers, fills them in a thread of its own, and signals each
   filled one. Each pixel is the number of its frame plus its row, so that pixels of another frame are seen. */
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define EXPORTED __attribute__((visibility("default")))
#define NS_PER_S 1000000000L
#define PAGE_BYTES 4096

enum { NO_FRAME = -1, IS_GONE = -2 };

/* Indexes of buffers, oldest first. */
typedef struct {
    int *indexes;
    int count;
} Queue;

typedef struct {
    int width, height, buffer_count, is_big_endian, is_stopped, is_gone, is_started;
    double frames_per_second; /* 0: a frame whenever a buffer is empty */
    uint16_t **buffers;
    uint64_t *numbers; /* of the frame in each buffer */
    Queue empty, filled;
    uint64_t number, missed;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
} Camera;

static void put(Queue *queue, int index)
{
    queue->indexes[queue->count++] = index;
}

static int take(Queue *queue)
{
    int index = queue->indexes[0];
    memmove(queue->indexes, queue->indexes + 1, sizeof(int) * (size_t)--queue->count);
    return index;
}

static void expose(const Camera *camera, uint16_t *pixels, uint64_t number)
{
    for (int y = 0; y < camera->height; y++) {
        uint16_t value = (uint16_t)(number + (uint64_t)y);
        if (camera->is_big_endian)
            value = (uint16_t)(value << 8 | value >> 8);
        uint16_t *row = pixels + (size_t)y * (size_t)camera->width;
        for (int x = 0; x < camera->width; x++)
            row[x] = value;
    }
}

static void add_nanoseconds(struct timespec *time, long nanoseconds)
{
    time->tv_sec += nanoseconds / NS_PER_S;
    time->tv_nsec += nanoseconds % NS_PER_S;
    if (time->tv_nsec >= NS_PER_S) {
        time->tv_nsec -= NS_PER_S;
        time->tv_sec++;
    }
}

static int is_over(const Camera *camera)
{
    return camera->is_stopped || camera->is_gone;
}

/* Wait until the next frame is due; return whether there is a buffer for it. The lock is held before and after. */
static int next_frame(Camera *camera, struct timespec *due)
{
    if (camera->frames_per_second > 0) {
        add_nanoseconds(due, (long)(NS_PER_S / camera->frames_per_second));
        while (!is_over(camera) && pthread_cond_timedwait(&camera->changed, &camera->lock, due) != ETIMEDOUT) {
        }
    } else {
        while (!is_over(camera) && !camera->empty.count)
            pthread_cond_wait(&camera->changed, &camera->lock);
    }
    if (is_over(camera))
        return 0;
    camera->number++;
    camera->missed += !camera->empty.count;
    return camera->empty.count > 0;
}

static void *run(void *argument)
{
    Camera *camera = argument;
    struct timespec due;
    clock_gettime(CLOCK_MONOTONIC, &due);
    pthread_mutex_lock(&camera->lock);
    while (!is_over(camera)) {
        if (!next_frame(camera, &due))
            continue;
        int index = take(&camera->empty);
        uint64_t number = camera->number;
        pthread_mutex_unlock(&camera->lock);
        expose(camera, camera->buffers[index], number);
        pthread_mutex_lock(&camera->lock);
        camera->numbers[index] = number;
        put(&camera->filled, index);
        pthread_cond_broadcast(&camera->changed);
    }
    pthread_mutex_unlock(&camera->lock);
    return NULL;
}

static void free_all(Camera *camera)
{
    for (int i = 0; camera->buffers && i < camera->buffer_count; i++)
        free(camera->buffers[i]);
    free(camera->buffers);
    free(camera->numbers);
    free(camera->empty.indexes);
    free(camera->filled.indexes);
    free(camera);
}

/* Return a camera with its ring of buffers, or NULL when there is no memory for them. */
EXPORTED Camera *camera_open(int width, int height, int buffer_count, size_t buffer_bytes, double frames_per_second,
                             int is_big_endian)
{
    Camera *camera = calloc(1, sizeof *camera);
    if (!camera)
        return NULL;
    size_t count = (size_t)buffer_count;
    *camera = (Camera){.width = width,
                       .height = height,
                       .buffer_count = buffer_count,
                       .is_big_endian = is_big_endian,
                       .frames_per_second = frames_per_second,
                       .buffers = calloc(count, sizeof(uint16_t *)),
                       .numbers = calloc(count, sizeof(uint64_t)),
                       .empty = {calloc(count, sizeof(int)), 0},
                       .filled = {calloc(count, sizeof(int)), 0}};
    if (!camera->buffers || !camera->numbers || !camera->empty.indexes || !camera->filled.indexes) {
        free_all(camera);
        return NULL;
    }
    for (int i = 0; i < buffer_count; i++) {
        camera->buffers[i] = aligned_alloc(PAGE_BYTES, (buffer_bytes + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES);
        if (!camera->buffers[i]) {
            free_all(camera);
            return NULL;
        }
        memset(camera->buffers[i], 0, buffer_bytes);
        put(&camera->empty, i);
    }
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&camera->lock, NULL);
    pthread_cond_init(&camera->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    return camera;
}

/* Let frames come. Return 0, or an errno. */
EXPORTED int camera_start(Camera *camera)
{
    int error = pthread_create(&camera->thread, NULL, run, camera);
    camera->is_started = !error;
    return error;
}

/* Return the index of the oldest filled buffer and its frame's number; NO_FRAME after the time, IS_GONE when the camera
   is unplugged and nothing is left to read. */
EXPORTED int camera_wait(Camera *camera, double timeout_s, uint64_t *number)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    add_nanoseconds(&until, (long)(timeout_s * NS_PER_S));
    pthread_mutex_lock(&camera->lock);
    int error = 0;
    while (!camera->filled.count && !is_over(camera) && !error)
        error = pthread_cond_timedwait(&camera->changed, &camera->lock, &until);
    int index = camera->is_gone ? IS_GONE : NO_FRAME;
    if (camera->filled.count) {
        index = take(&camera->filled);
        *number = camera->numbers[index];
    }
    pthread_mutex_unlock(&camera->lock);
    return index;
}

/* Give a buffer back, to be filled again. */
EXPORTED void camera_requeue(Camera *camera, int index)
{
    pthread_mutex_lock(&camera->lock);
    put(&camera->empty, index);
    pthread_cond_broadcast(&camera->changed);
    pthread_mutex_unlock(&camera->lock);
}

EXPORTED void *camera_buffer(Camera *camera, int index)
{
    return camera->buffers[index];
}

/* Return the number of frames for which no buffer was empty. */
EXPORTED uint64_t camera_missed(Camera *camera)
{
    pthread_mutex_lock(&camera->lock);
    uint64_t missed = camera->missed;
    pthread_mutex_unlock(&camera->lock);
    return missed;
}

static void end(Camera *camera, int *why)
{
    pthread_mutex_lock(&camera->lock);
    *why = 1;
    pthread_cond_broadcast(&camera->changed);
    pthread_mutex_unlock(&camera->lock);
}

/* Pull the cable: no more frames come. */
EXPORTED void camera_unplug(Camera *camera)
{
    end(camera, &camera->is_gone);
}

/* Stop, and free the buffers and the camera. */
EXPORTED void camera_close(Camera *camera)
{
    end(camera, &camera->is_stopped);
    if (camera->is_started)
        pthread_join(camera->thread, NULL);
    pthread_cond_destroy(&camera->changed);
    pthread_mutex_destroy(&camera->lock);
    free_all(camera);
}
